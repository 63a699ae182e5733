//! Sockets as `stdapi` and gorilla treat them: upgraded before anybody asks who is there, ended by
//! an empty binary frame, and left open after it.

use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;

use actix_http::body::{BodyStream, BoxBody};
use actix_http::header::HeaderMap;
use actix_http::ws::{self, OpCode, Parser};
use actix_http::{HttpMessage as _, Payload, Request, Response};
use bytes::{Bytes, BytesMut};
use futures_util::future::LocalBoxFuture;
use futures_util::{StreamExt as _, stream};
use tokio::sync::{mpsc, watch};

use super::auth;
use super::call::Call;
use super::frames;
use super::received::Entry;
use super::reply::{Failure, Reply};

/// Most bytes of one frame from a client.
const FRAME_MAX: usize = 16 << 20;
/// The rack's copy loops read this much at once, so no message is longer.
const COPY: usize = 32 * 1024;

/// What comes from the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// Bytes of a text message.
    Data(Bytes),
    /// The client will send no more, but still reads.
    End,
}

/// The writing half.
#[derive(Clone, Debug)]
pub(super) struct Output(mpsc::Sender<Bytes>);

impl Output {
    /// One text message, or several if it is longer than the rack's copy buffer.
    pub(super) async fn text(&self, data: &[u8]) -> Result<(), Failure> {
        for piece in data.chunks(COPY) {
            self.send(frames::text(piece)).await?;
        }
        Ok(())
    }

    async fn send(&self, bytes: Bytes) -> Result<(), Failure> {
        self.0.send(bytes).await.map_err(|_| Failure::new(499, "client is gone"))
    }
}

/// A socket as its handler sees it.
pub(super) struct Socket {
    pub(super) out: Output,
    input: mpsc::Receiver<Input>,
    gone: watch::Receiver<bool>,
    listening: Rc<Cell<bool>>,
}

impl Socket {
    /// From now on the rack reads, and so answers pings. A log never does.
    pub(super) fn listen(&self) {
        self.listening.set(true);
    }

    /// What comes next; [`Input::End`] again and again after the end.
    pub(super) async fn read(&mut self) -> Input {
        self.listen();
        self.input.recv().await.unwrap_or(Input::End)
    }

    /// Ends when the connection has.
    pub(super) fn gone(&self) -> impl Future<Output = ()> + use<> {
        let mut gone = self.gone.clone();
        async move {
            // An error means that the reader ended, and with it the connection.
            drop(gone.wait_for(|gone| *gone).await);
        }
    }
}

/// Upgrades, and hands the socket to its handler.
pub(super) fn open(
    call: Call,
    request: &mut Request,
    entry: Arc<Entry>,
    run: fn(Call, &mut Socket) -> LocalBoxFuture<'_, Result<(), Failure>>,
) -> Response<BoxBody> {
    if let Err((status, reason)) = check(request.headers()) {
        entry.answered(status);
        return refusal(status, reason);
    }
    let (send, receive) = mpsc::channel(64);
    let (socket, pump) = Pump::new(request.take_payload(), Arc::clone(&entry), send);
    actix_rt::spawn(pump.run());
    actix_rt::spawn(converse(call, socket, run));
    entry.answered(101);
    let body = stream::unfold(receive, |mut receive| async move {
        receive.recv().await.map(|bytes| (Ok::<_, Infallible>(bytes), receive))
    });
    ws::handshake_response(request.head()).body(BodyStream::new(Box::pin(body))).map_into_boxed_body()
}

async fn converse(
    mut call: Call,
    mut socket: Socket,
    run: fn(Call, &mut Socket) -> LocalBoxFuture<'_, Result<(), Failure>>,
) {
    let out = socket.out.clone();
    let gone = socket.gone();
    let talk = async {
        call.role = auth::authenticate(&call)?;
        auth::authorize(call.role, "GET")?;
        run(call, &mut socket).await
    };
    let ended = tokio::select! {
        ended = talk => ended,
        () = gone => return,
    };
    let mut sent = Ok(());
    if let Err(failure) = ended {
        sent = out.text(format!("ERROR: {}\n", failure.message).as_bytes()).await;
    }
    if sent.is_ok() && out.send(frames::end()).await.is_ok() {
        // The rack forgets the connection here without closing it; the client does that.
        socket.listening.set(false);
        socket.input.close();
        socket.gone().await;
    }
}

/// Reads frames for as long as the connection lives.
struct Pump {
    payload: Payload,
    entry: Arc<Entry>,
    out: Output,
    input: Option<mpsc::Sender<Input>>,
    gone: watch::Sender<bool>,
    listening: Rc<Cell<bool>>,
}

impl Pump {
    fn new(payload: Payload, entry: Arc<Entry>, out: mpsc::Sender<Bytes>) -> (Socket, Self) {
        let (send, receive) = mpsc::channel(1024);
        let (gone, gone_receiver) = watch::channel(false);
        let listening = Rc::new(Cell::new(false));
        let out = Output(out);
        let socket = Socket { out: out.clone(), input: receive, gone: gone_receiver, listening: Rc::clone(&listening) };
        (socket, Self { payload, entry, out, input: Some(send), gone, listening })
    }

    async fn run(mut self) {
        let mut buffer = BytesMut::new();
        'connection: while let Some(Ok(bytes)) = self.payload.next().await {
            buffer.extend_from_slice(&bytes);
            loop {
                match Parser::parse(&mut buffer, true, FRAME_MAX) {
                    Ok(Some((fin, opcode, data))) => self.frame(fin, opcode, data.unwrap_or_default().freeze()).await,
                    Ok(None) => break,
                    Err(_) => break 'connection,
                }
            }
        }
        self.entry.gone();
        self.gone.send_replace(true);
    }

    async fn frame(&mut self, fin: bool, opcode: OpCode, data: Bytes) {
        self.entry.frame(fin, u8::from(opcode), data.clone());
        let reading = self.listening.get() && self.input.is_some();
        let input = match opcode {
            OpCode::Text | OpCode::Continue => Input::Data(data),
            // Any binary message ends the stream, whatever it holds (`stdapi` `Context.Read`).
            OpCode::Binary => Input::End,
            OpCode::Ping if reading => return self.answer(OpCode::Pong, &data).await,
            OpCode::Close if reading => {
                self.answer(OpCode::Close, &data).await;
                Input::End
            }
            OpCode::Ping | OpCode::Pong | OpCode::Close | OpCode::Bad => return,
        };
        let end = input == Input::End;
        if let Some(sender) = &self.input
            && sender.send(input).await.is_err()
        {
            self.input = None;
        }
        if end {
            self.input = None;
        }
    }

    async fn answer(&self, opcode: OpCode, data: &Bytes) {
        if self.out.send(frames::single(opcode, data)).await.is_err() {
            tracing::debug!("the client of a socket is gone");
        }
    }
}

/// gorilla's `Upgrader.Upgrade`, in its order.
fn check(headers: &HeaderMap) -> Result<(), (u16, &'static str)> {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let token = |name: &str, token: &str| {
        headers
            .get_all(name)
            .filter_map(|v| v.to_str().ok())
            .flat_map(|v| v.split(','))
            .any(|v| v.trim().eq_ignore_ascii_case(token))
    };
    if !token("connection", "upgrade") {
        return Err((
            400,
            "the client is not using the websocket protocol: 'upgrade' token not found in 'Connection' header",
        ));
    }
    if !token("sec-websocket-version", "13") {
        return Err((400, "unsupported version: 13 not found in 'Sec-Websocket-Version' header"));
    }
    if !same_origin(&text("origin"), &text("host")) {
        return Err((403, "request origin not allowed by Upgrader.CheckOrigin"));
    }
    if text("sec-websocket-key").is_empty() {
        return Err((400, "not a websocket handshake: 'Sec-WebSocket-Key' header is missing or blank"));
    }
    Ok(())
}

/// gorilla's default `CheckOrigin`.
fn same_origin(origin: &str, host: &str) -> bool {
    if origin.is_empty() {
        return true;
    }
    let authority = origin.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
    authority.rsplit('@').next().unwrap_or_default().eq_ignore_ascii_case(host)
}

/// gorilla answers with the name of the status, and `stdapi` adds the reason to it.
fn refusal(status: u16, reason: &str) -> Response<BoxBody> {
    let name = if status == 403 { "Forbidden" } else { "Bad Request" };
    let body = format!("{name}\nERROR: websocket: {reason}\n");
    Reply::typed("text/plain; charset=utf-8", body.into())
        .with_status(status)
        .with("Sec-Websocket-Version", "13")
        .with("X-Content-Type-Options", "nosniff")
        .into_response()
}
