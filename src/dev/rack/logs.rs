//! Logs and the sockets that stream them.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use time::OffsetDateTime;

use super::call::Call;
use super::data::{App, Data};
use super::form;
use super::reply::Failure;
use super::sockets::Socket;
use super::table::Route;

pub(super) const ROUTES: &[Route] = &[
    Route::socket("/apps/{app}/logs", of_app),
    Route::socket("/apps/{app}/builds/{id}/logs", of_build),
    Route::socket("/apps/{app}/processes/{pid}/logs", of_process),
    Route::socket("/apps/{app}/services/{service}/logs", of_service),
    Route::socket("/system/logs", of_system),
];

/// Most lines that a log keeps.
const KEEP: usize = 10_000;

/// Who wrote a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The rack, by name.
    System(String),
    /// A process of a service.
    Process { service: String, id: String },
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    at: OffsetDateTime,
    source: Source,
    text: String,
}

impl Line {
    fn render(&self, prefix: bool) -> String {
        if !prefix {
            return format!("{}\n", self.text);
        }
        let at = self.at;
        let date = at.date();
        let (h, m, s) = at.to_hms();
        let source = match &self.source {
            Source::System(rack) => format!("system/{rack}"),
            Source::Process { service, id } => format!("service/{service}/{id}"),
        };
        format!("{date}T{h:02}:{m:02}:{s:02}Z {source} {}\n", self.text)
    }
}

/// Lines in their order, the oldest forgotten.
#[derive(Debug, Default)]
pub(super) struct Log {
    lines: VecDeque<Line>,
    forgotten: usize,
}

impl Log {
    pub(super) fn push(&mut self, at: OffsetDateTime, source: Source, text: impl Into<String>) {
        self.lines.push_back(Line { at, source, text: text.into() });
        if self.lines.len() > KEEP {
            self.lines.pop_front();
            self.forgotten += 1;
        }
    }

    /// Lines from a position on, and the position after them.
    fn from(&self, position: usize) -> (Vec<Line>, usize) {
        let skip = position.saturating_sub(self.forgotten);
        (self.lines.iter().skip(skip).cloned().collect(), self.forgotten + self.lines.len())
    }
}

/// Writes a line of a process into its app's log.
pub(super) fn process(app: &mut App, at: OffsetDateTime, service: &str, id: &str, text: impl Into<String>) {
    app.log.push(at, Source::Process { service: service.to_owned(), id: id.to_owned() }, text);
}

/// What the client wants to see: option headers of `structs.LogsOptions`.
struct Wanted {
    filter: String,
    follow: bool,
    prefix: bool,
    since: Option<Duration>,
    tail: Option<usize>,
}

impl Wanted {
    fn of(call: &Call) -> Self {
        Self {
            filter: call.header("filter"),
            follow: call.header("follow") != "false",
            prefix: call.header("prefix") == "true",
            since: form::duration(&call.header("since")),
            tail: call.header("tail").parse().ok(),
        }
    }

    fn old(&self, mut lines: Vec<Line>, now: OffsetDateTime, which: &dyn Fn(&Source) -> bool) -> Vec<Line> {
        let oldest = self.since.map(|since| now - since);
        lines.retain(|line| oldest.is_none_or(|oldest| line.at >= oldest) && self.shows(line, which));
        let skip = self.tail.map_or(0, |tail| lines.len().saturating_sub(tail));
        lines.split_off(skip)
    }

    fn shows(&self, line: &Line, which: &dyn Fn(&Source) -> bool) -> bool {
        line.text.contains(&self.filter) && which(&line.source)
    }
}

fn of_app(call: Call, socket: &mut Socket) -> LocalBoxFuture<'_, Result<(), Failure>> {
    let app = call.app().to_owned();
    let source = Source::System(call.rack.options().name.clone());
    Box::pin(follow(call, socket, source, move |data| Ok(&data.app(&app)?.log), |_| true))
}

fn of_system(call: Call, socket: &mut Socket) -> LocalBoxFuture<'_, Result<(), Failure>> {
    let source = Source::System(call.rack.options().name.clone());
    Box::pin(follow(call, socket, source, |data| Ok(&data.log), |_| true))
}

fn of_service(call: Call, socket: &mut Socket) -> LocalBoxFuture<'_, Result<(), Failure>> {
    let (app, service) = (call.app().to_owned(), call.path("service").to_owned());
    Box::pin(async move {
        let id = {
            let mut data = call.rack.data();
            let app = data.app(&app)?;
            app.service(&service)?;
            app.processes.iter().find(|p| p.service == service).map(|p| p.id.clone()).unwrap_or_default()
        };
        let source = Source::Process { service: service.clone(), id };
        let which = move |source: &Source| matches!(source, Source::Process { service: s, .. } if *s == service);
        follow(call, socket, source, move |data| Ok(&data.app(&app)?.log), which).await
    })
}

fn of_process(call: Call, socket: &mut Socket) -> LocalBoxFuture<'_, Result<(), Failure>> {
    let (app, id) = (call.app().to_owned(), call.path("pid").to_owned());
    Box::pin(async move {
        let service = call.rack.data().app(&app)?.process(&id)?.service.clone();
        let source = Source::Process { service, id: id.clone() };
        let which = move |source: &Source| matches!(source, Source::Process { id: i, .. } if *i == id);
        follow(call, socket, source, move |data| Ok(&data.app(&app)?.log), which).await
    })
}

/// Sends what there is and then, if the client follows, what comes: lines on events, and one line
/// every heartbeat.
async fn follow(
    call: Call,
    socket: &mut Socket,
    beat: Source,
    log: impl for<'a> Fn(&'a mut Data) -> Result<&'a Log, Failure>,
    which: impl Fn(&Source) -> bool,
) -> Result<(), Failure> {
    let wanted = Wanted::of(&call);
    let mut changes = call.rack.watch();
    let (lines, mut position) = log(&mut call.rack.data())?.from(0);
    send(socket, &wanted, wanted.old(lines, call.now(), &which)).await?;
    if !wanted.follow {
        return Ok(());
    }
    let mut beats = actix_rt::time::interval(call.rack.options().heartbeat.max(Duration::from_millis(1)));
    beats.tick().await;
    let mut count = 0u64;
    loop {
        let mut new = tokio::select! {
            changed = changes.changed() => {
                if changed.is_err() {
                    return Ok(());
                }
                let (lines, next) = log(&mut call.rack.data())?.from(position);
                position = next;
                lines
            }
            _ = beats.tick() => {
                count += 1;
                vec![Line { at: call.now(), source: beat.clone(), text: format!("heartbeat {count}") }]
            }
        };
        new.retain(|line| wanted.shows(line, &which));
        send(socket, &wanted, new).await?;
    }
}

async fn send(socket: &Socket, wanted: &Wanted, lines: Vec<Line>) -> Result<(), Failure> {
    for line in lines {
        socket.out.text(line.render(wanted.prefix).as_bytes()).await?;
    }
    Ok(())
}

/// A build's log ends with the build, whatever the client asks for.
fn of_build(call: Call, socket: &mut Socket) -> LocalBoxFuture<'_, Result<(), Failure>> {
    Box::pin(async move {
        let (app, id) = (call.app().to_owned(), call.path("id").to_owned());
        let mut changes = call.rack.watch();
        let mut sent = 0;
        loop {
            let (running, new) = {
                let mut data = call.rack.data();
                let app = data.app(&app)?;
                let running = app.build(&id)?.status == "running";
                let lines: Vec<String> = app.build_logs.get(&id).into_iter().flatten().skip(sent).cloned().collect();
                (running, lines)
            };
            for line in &new {
                socket.out.text(format!("{line}\n").as_bytes()).await?;
            }
            sent += new.len();
            if !running || changes.changed().await.is_err() {
                return Ok(());
            }
        }
    })
}
