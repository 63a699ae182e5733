//! An open socket: raw bytes both ways until one side ends, and then an orderly end.
//!
//! Frames are neither decoded nor made again: text frames carry any bytes, fragments stay
//! fragments, masks stay masks. A [`Scanner`] looks on to notice the rack's last frame, after which
//! the rack leaves the connection open and expects somebody else to close it.

use std::future::pending;
use std::io;
use std::rc::Rc;

use actix_web::web::Payload;
use awc::BoxedSocket;
use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant, sleep_until, timeout};

use super::config::Limits;
use super::frames::{Scanner, farewell};
use super::kill::{Kill, KillSignal};
use super::tally::{Sent, Tally};
use crate::audit::OutcomeResult;

/// Bytes read from the rack at once.
const CHUNK: usize = 16 << 10;

/// A socket between a client and the rack.
pub(super) struct Relay {
    up: Up,
    down: Down,
    /// A second sender to the client, only to notice that it left.
    client: mpsc::Sender<Bytes>,
    kill: KillSignal,
    idle: Duration,
    grace: Duration,
    moved: Instant,
    tally: Tally,
}

/// The client's end of a socket.
pub(super) struct Client {
    pub(super) payload: Payload,
    /// What came of it and still is to go to the rack.
    pub(super) ahead: Bytes,
    pub(super) sender: mpsc::Sender<Bytes>,
}

impl Client {
    /// Nothing has come yet. The receiver is the body of the answer.
    pub(super) fn new(payload: Payload) -> (Self, mpsc::Receiver<Bytes>) {
        // Two: one chunk is written while the next is read.
        let (sender, receiver) = mpsc::channel(2);
        (Self { payload, ahead: Bytes::new(), sender }, receiver)
    }
}

/// How it ended.
#[derive(Debug)]
enum Ending {
    /// The rack said its last frame or closed.
    Rack,
    /// The client closed before the rack did.
    Client,
    /// The connection to the rack broke.
    Broken(io::Error),
    /// Nothing moved for too long.
    Idle,
    /// Ended from outside.
    Killed(Kill),
}

enum Event {
    Down(io::Result<usize>),
    Up(io::Result<bool>),
    ClientLeft,
    Killed(Kill),
    Time,
}

impl Relay {
    /// `early` is what the rack sent behind its handshake.
    pub(super) fn new(
        rack: BoxedSocket,
        early: BytesMut,
        client: Client,
        kill: KillSignal,
        limits: &Limits,
        mut tally: Tally,
    ) -> Self {
        let Client { payload, ahead, sender } = client;
        let (reader, writer) = tokio::io::split(rack);
        tally.if_dropped(OutcomeResult::Abandoned);
        let sent = Rc::clone(tally.sent());
        let up = Up { payload, writer, pending: ahead, is_flushed: true, state: UpState::Open, sent };
        let down = Down { reader, buffer: early, scanner: Scanner::default(), client: sender.clone() };
        Self {
            up,
            down,
            client: sender,
            kill,
            idle: limits.socket_idle,
            grace: limits.socket_grace,
            moved: Instant::now(),
            tally,
        }
    }

    /// Runs to the end and tells the outcome.
    pub(super) async fn run(mut self) {
        let ending = self.until_end().await;
        let (result, message) = match &ending {
            Ending::Rack => (OutcomeResult::Completed, None),
            Ending::Client => (OutcomeResult::ClientGone, None),
            Ending::Broken(error) => (OutcomeResult::UpstreamError, Some(format!("the socket broke: {error}"))),
            Ending::Idle => (OutcomeResult::Completed, Some("the socket was idle for too long".to_owned())),
            Ending::Killed(kill) => (OutcomeResult::Completed, Some(kill.told())),
        };
        let tally = match ending {
            Ending::Killed(kill) => self.say_farewell(kill.exit).await,
            Ending::Rack | Ending::Client | Ending::Broken(_) | Ending::Idle => self.tally,
        };
        tally.end(result, message);
    }

    async fn until_end(&mut self) -> Ending {
        // When and how it ends at the latest, once one side has ended.
        let mut leaving: Option<(Instant, Ending)> = None;
        loop {
            let event = self.next(leaving.as_ref().map(|(deadline, _)| *deadline)).await;
            let ending = match event {
                Event::Down(Ok(0)) => return leaving.map_or(Ending::Rack, |(_, ending)| ending),
                Event::Down(Ok(bytes)) => {
                    self.moved = Instant::now();
                    self.tally.received(bytes);
                    if !self.down.scanner.has_ended() {
                        continue;
                    }
                    Ending::Rack
                }
                Event::Up(Ok(true)) => {
                    self.moved = Instant::now();
                    continue;
                }
                Event::Up(Ok(false)) | Event::ClientLeft if self.down.scanner.has_ended() => return Ending::Rack,
                Event::ClientLeft => return Ending::Client,
                Event::Up(Ok(false)) => Ending::Client,
                // What the rack still has to say, such as an exit code, is in the other direction.
                Event::Up(Err(error)) => Ending::Broken(error),
                Event::Down(Err(error)) => return leaving.map_or(Ending::Broken(error), |(_, ending)| ending),
                Event::Killed(kill) => return Ending::Killed(kill),
                Event::Time => return leaving.map_or(Ending::Idle, |(_, ending)| ending),
            };
            if leaving.is_none() {
                leaving = Some((deadline(self.grace), ending));
            }
        }
    }

    async fn next(&mut self, leaving: Option<Instant>) -> Event {
        let until = leaving.or_else(|| self.moved.checked_add(self.idle)).unwrap_or_else(|| deadline(self.idle));
        let killed = self.kill.killed();
        let moved = async {
            tokio::select! {
                down = self.down.step() => Event::Down(down),
                up = self.up.step(), if self.up.state != UpState::Closed => Event::Up(up),
                () = self.client.closed() => Event::ClientLeft,
                () = sleep_until(until) => Event::Time,
            }
        };
        // The kill is looked at first: what arrives after it goes no further.
        tokio::select! {
            biased;
            kill = killed => Event::Killed(kill),
            event = moved => event,
        }
    }

    /// Ends the rack's side, then tells the client at the next place where a frame may stand.
    async fn say_farewell(mut self, exit: Option<u8>) -> Tally {
        let cut = timeout(self.grace, self.down.finish_frame(&self.tally)).await;
        let Self { up, down, client, grace, tally, .. } = self;
        let Up { mut payload, writer, .. } = up;
        let Down { reader, scanner, client: sender, .. } = down;
        drop((reader, writer, sender));
        if matches!(cut, Ok(Ok(()))) {
            let frames = farewell(scanner.is_in_message(), None, exit);
            let bytes = frames.len();
            if let Ok(Ok(())) = timeout(grace, client.send(frames)).await {
                tally.received(bytes);
            }
            linger(&mut payload, &client, grace).await;
        }
        tally
    }
}

fn deadline(after: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(after).unwrap_or(now)
}

/// Lets the client read the last frames and close: closing first, with its bytes unread, would reset
/// the connection and could take the frames away from it.
pub(super) async fn linger(payload: &mut Payload, client: &mpsc::Sender<Bytes>, grace: Duration) {
    let left = async {
        tokio::select! {
            () = drain(payload) => {}
            () = client.closed() => {}
        }
    };
    // Either way the socket is over.
    timeout(grace, left).await.ok();
}

/// Reads to the end of what the client sends.
pub(super) async fn drain(payload: &mut Payload) {
    while let Some(Ok(_)) = payload.next().await {}
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum UpState {
    Open,
    /// The client has ended; the rack is being told.
    Ending,
    Closed,
}

/// From the client to the rack.
struct Up {
    payload: Payload,
    writer: WriteHalf<BoxedSocket>,
    pending: Bytes,
    is_flushed: bool,
    state: UpState,
    sent: Rc<Sent>,
}

impl Up {
    /// Moves one chunk; false at the end. Nothing is lost if it is dropped half-way.
    async fn step(&mut self) -> io::Result<bool> {
        let moved = self.advance().await;
        if !matches!(moved, Ok(true)) {
            self.state = UpState::Closed;
        }
        moved
    }

    async fn advance(&mut self) -> io::Result<bool> {
        if self.state == UpState::Open && self.pending.is_empty() && self.is_flushed {
            match self.payload.next().await {
                Some(Ok(chunk)) => self.pending = chunk,
                Some(Err(_)) | None => self.state = UpState::Ending,
            }
        }
        while self.pending.has_remaining() {
            let written = self.writer.write(&self.pending).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.sent.more(written);
            self.pending.advance(written);
            self.is_flushed = false;
        }
        if !self.is_flushed {
            self.writer.flush().await?;
            self.is_flushed = true;
        }
        if self.state == UpState::Ending {
            self.writer.shutdown().await?;
            return Ok(false);
        }
        Ok(true)
    }
}

/// From the rack to the client.
struct Down {
    reader: ReadHalf<BoxedSocket>,
    buffer: BytesMut,
    scanner: Scanner,
    client: mpsc::Sender<Bytes>,
}

impl Down {
    /// Moves one chunk, only if the client has room for it; returns its bytes, 0 at the end. Nothing
    /// is lost if it is dropped half-way.
    async fn step(&mut self) -> io::Result<usize> {
        let Ok(room) = self.client.reserve().await else {
            // The client left, which is seen elsewhere.
            return pending().await;
        };
        fill(&mut self.reader, &mut self.buffer).await?;
        let chunk = self.buffer.split().freeze();
        self.scanner.follow(&chunk);
        let bytes = chunk.len();
        if bytes > 0 {
            room.send(chunk);
        }
        Ok(bytes)
    }

    /// Moves the rest of the frame under way, and nothing behind it.
    async fn finish_frame(&mut self, tally: &Tally) -> io::Result<()> {
        while !self.scanner.is_at_boundary() {
            fill(&mut self.reader, &mut self.buffer).await?;
            let taken = self.scanner.follow_frame(&self.buffer);
            if taken == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let chunk = self.buffer.split_to(taken).freeze();
            if self.client.send(chunk).await.is_err() {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            tally.received(taken);
        }
        Ok(())
    }
}

async fn fill(reader: &mut ReadHalf<BoxedSocket>, buffer: &mut BytesMut) -> io::Result<()> {
    if !buffer.is_empty() {
        return Ok(());
    }
    // What is left of the last allocation is used up before the next.
    if buffer.capacity() < CHUNK / 8 {
        buffer.reserve(CHUNK);
    }
    reader.read_buf(buffer).await.map(|_bytes| ())
}
