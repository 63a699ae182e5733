//! Commands inside processes and instances.

use futures_util::future::LocalBoxFuture;

use super::EXIT_SENTINEL;
use super::auth::needs_write;
use super::call::Call;
use super::data::environment;
use super::logs;
use super::reply::Failure;
use super::shell::{Place, Shell};
use super::sockets::Socket;
use super::table::Route;
use super::terminal::Terminal;

pub(super) const ROUTES: &[Route] =
    &[Route::socket("/apps/{app}/processes/{pid}/exec", process), Route::socket("/instances/{id}/shell", instance)];

fn process(call: Call, socket: &mut Socket) -> LocalBoxFuture<'_, Result<(), Failure>> {
    Box::pin(async move {
        needs_write(&call, "process exec")?;
        let command = call.value("command");
        let place = match find(&call, &command)? {
            Ok(place) => place,
            Err(failure) => return fail_after_sentinel(socket, failure).await,
        };
        // Absent means true, as on a rack.
        let tty = call.option("tty").is_none_or(|tty| tty == "true");
        let mut terminal = Terminal::new(socket, tty, &call.header("height"), &call.header("width"));
        if call.header("disable-stdin") == "true" {
            terminal = terminal.without_input();
        }
        run(place, terminal, &command).await
    })
}

/// The process, named by its id or by a service. The outer error comes before the provider is
/// asked, the inner one from the provider.
fn find(call: &Call, command: &str) -> Result<Result<Place, Failure>, Failure> {
    let (rack, pid) = (&call.rack, call.path("pid"));
    let mut data = rack.data();
    let app = data.app(call.app())?;
    let process =
        app.processes.iter().find(|p| p.id == pid).or_else(|| app.processes.iter().find(|p| p.service == pid));
    let Some(process) = process.cloned() else {
        return Ok(Err(Failure::not_found(format!("process not found: {pid}"))));
    };
    let environment = environment(app, &process);
    logs::process(app, call.now(), &process.service, &process.id, format!("exec {command}"));
    drop(data);
    rack.changed();
    let (app, pid) = (call.app().to_owned(), process.id);
    Ok(Ok(Place { rack: rack.clone(), app, host: pid, environment }))
}

fn instance(call: Call, socket: &mut Socket) -> LocalBoxFuture<'_, Result<(), Failure>> {
    Box::pin(async move {
        needs_write(&call, "instance shell")?;
        let id = call.path("id").to_owned();
        if !call.rack.data().instances.iter().any(|instance| instance.id == id) {
            return fail_after_sentinel(socket, Failure::not_found(format!("instance not found: {id}"))).await;
        }
        let command = call.header("command");
        let command = if command.is_empty() { "sh".to_owned() } else { command };
        let environment = [("HOME", "/root"), ("PATH", "/usr/bin:/bin")];
        let environment = environment.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        let place = Place { rack: call.rack.clone(), app: String::new(), host: id, environment };
        run(place, Terminal::new(socket, true, &call.header("height"), &call.header("width")), &command).await
    })
}

async fn run(place: Place, mut terminal: Terminal<'_>, command: &str) -> Result<(), Failure> {
    let code = Shell::new(place, &mut terminal).command_line(command).await?;
    // The sentinel has a frame of its own and is not touched by the line discipline.
    sentinel(code, &terminal).await
}

async fn sentinel(code: i32, terminal: &Terminal<'_>) -> Result<(), Failure> {
    terminal.raw(format!("{EXIT_SENTINEL}:{code}\n").as_bytes()).await
}

/// A provider's error comes after a sentinel that says 0 (convox `ProcessExec`).
async fn fail_after_sentinel(socket: &mut Socket, failure: Failure) -> Result<(), Failure> {
    sentinel(0, &Terminal::new(socket, false, "", "")).await?;
    Err(failure)
}
