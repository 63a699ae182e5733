//! What a command reads and writes: a socket, with or without the line discipline of a terminal.

use bytes::Bytes;

use super::reply::Failure;
use super::sockets::{Input, Socket};

/// Size of a terminal when the client does not say.
const ROWS_AND_COLUMNS: (u16, u16) = (24, 80);

/// Reads lines or pieces from a socket and writes to it.
pub(super) struct Terminal<'a> {
    socket: &'a mut Socket,
    tty: bool,
    size: (u16, u16),
    pending: Vec<u8>,
    ended: bool,
}

impl<'a> Terminal<'a> {
    pub(super) fn new(socket: &'a mut Socket, tty: bool, height: &str, width: &str) -> Self {
        socket.listen();
        let (rows, columns) = ROWS_AND_COLUMNS;
        let size = (height.parse().unwrap_or(rows), width.parse().unwrap_or(columns));
        Self { socket, tty, size, pending: Vec::new(), ended: false }
    }

    /// A command without standard input.
    pub(super) fn without_input(mut self) -> Self {
        self.ended = true;
        self
    }

    pub(super) fn tty(&self) -> bool {
        self.tty
    }

    /// Rows and columns.
    pub(super) fn size(&self) -> (u16, u16) {
        self.size
    }

    /// Writes; a terminal turns line ends into CR LF.
    pub(super) async fn write(&self, data: &[u8]) -> Result<(), Failure> {
        if !self.tty {
            return self.socket.out.text(data).await;
        }
        let mut cooked = Vec::with_capacity(data.len() + 8);
        for &byte in data {
            if byte == b'\n' {
                cooked.push(b'\r');
            }
            cooked.push(byte);
        }
        self.socket.out.text(&cooked).await
    }

    /// Writes as it is.
    pub(super) async fn raw(&self, data: &[u8]) -> Result<(), Failure> {
        self.socket.out.text(data).await
    }

    /// The next line with its end, or what is left at the end of the input; none after that.
    pub(super) async fn line(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        loop {
            if let Some(at) = self.pending.iter().position(|&b| b == b'\n') {
                let rest = self.pending.split_off(at + 1);
                return Ok(Some(std::mem::replace(&mut self.pending, rest)));
            }
            if self.ended {
                let rest = std::mem::take(&mut self.pending);
                return Ok((!rest.is_empty()).then_some(rest));
            }
            self.fill().await?;
        }
    }

    /// The next bytes as they come (of a terminal: the next line); none at the end.
    pub(super) async fn piece(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        if self.tty {
            return self.line().await;
        }
        while self.pending.is_empty() && !self.ended {
            self.fill().await?;
        }
        let piece = std::mem::take(&mut self.pending);
        Ok((!piece.is_empty()).then_some(piece))
    }

    async fn fill(&mut self) -> Result<(), Failure> {
        match self.socket.read().await {
            Input::End => self.ended = true,
            Input::Data(data) if self.tty => self.typed(&data).await?,
            Input::Data(data) => self.pending.extend_from_slice(&data),
        }
        Ok(())
    }

    /// The line discipline: echo, erase, end of file, interrupt.
    async fn typed(&mut self, data: &Bytes) -> Result<(), Failure> {
        let mut echo = Vec::with_capacity(data.len() + 1);
        for &byte in data {
            match byte {
                b'\r' | b'\n' => {
                    self.pending.push(b'\n');
                    echo.extend_from_slice(b"\r\n");
                }
                // Erase.
                0x08 | 0x7f => {
                    if self.pending.last().is_some_and(|&b| b != b'\n') {
                        self.pending.pop();
                        echo.extend_from_slice(b"\x08 \x08");
                    }
                }
                // ^D ends the input if the line is empty.
                0x04 => self.ended |= self.pending.last().is_none_or(|&b| b == b'\n'),
                // ^C drops the line.
                0x03 => {
                    let keep = self.pending.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
                    self.pending.truncate(keep);
                    self.pending.push(b'\n');
                    echo.extend_from_slice(b"^C\r\n");
                }
                other => {
                    self.pending.push(other);
                    echo.push(other);
                }
            }
        }
        self.socket.out.text(&echo).await
    }
}
