//! Resources of apps.

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;

use super::auth::needs_write;
use super::call::{Call, Incoming};
use super::objects::Stored;
use super::reply::{Answer, Failure, Reply};
use super::sockets::{Input, Socket};
use super::table::Route;

pub(super) const ROUTES: &[Route] = &[
    Route::socket("/apps/{app}/resources/{name}/console", console),
    Route::plain("GET", "/apps/{app}/resources/{name}/data", export),
    Route::plain("GET", "/apps/{app}/resources/{name}", get),
    Route::upload("PUT", "/apps/{app}/resources/{name}/data", import),
    Route::plain("GET", "/apps/{app}/resources", list),
];

fn list(call: &Call) -> Answer {
    Reply::json(&call.rack.data().app(call.app())?.resources)
}

fn get(call: &Call) -> Answer {
    Reply::json(call.rack.data().app(call.app())?.resource(call.path("name"))?)
}

fn export(call: &Call) -> Answer {
    let name = call.path("name");
    let mut data = call.rack.data();
    let app = data.app(call.app())?;
    app.resource(name)?;
    let never_imported = || Stored::of(Bytes::from(format!("-- dev export of {name}\n")));
    Ok(app.resource_data.get(name).cloned().unwrap_or_else(never_imported).reply())
}

fn import(call: Call, incoming: Incoming) -> LocalBoxFuture<'static, Answer> {
    Box::pin(async move {
        let name = call.path("name").to_owned();
        call.rack.data().app(call.app())?.resource(&name)?;
        let stored = Stored::read(incoming).await?;
        call.rack.data().app(call.app())?.resource_data.insert(name, stored);
        Ok(Reply::ok())
    })
}

/// A console that repeats what it is told; no sentinel at its end.
fn console(call: Call, socket: &mut Socket) -> LocalBoxFuture<'_, Result<(), Failure>> {
    Box::pin(async move {
        needs_write(&call, "resource console")?;
        let (app, name) = (call.app(), call.path("name"));
        call.rack.data().app(app)?.resource(name)?;
        let rack = &call.rack.options().name;
        socket.out.text(format!("{rack} console for {app}/{name}\n").as_bytes()).await?;
        while let Input::Data(data) = socket.read().await {
            if data.trim_ascii() == b"\\q" {
                return socket.out.text(b"bye\n").await;
            }
            socket.out.text(&[b"=> ", data.as_ref()].concat()).await?;
        }
        Ok(())
    })
}
