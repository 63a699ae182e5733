//! A blocking HTTP/1.1 client that repeats one request on one connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::{Failure, Options};

/// What came back: the body is counted and dropped.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) bytes: u64,
}

pub(crate) struct Client {
    stream: BufReader<TcpStream>,
    request: Vec<u8>,
}

impl Client {
    /// Connects to `--to` for GETs of `--path`, with `--authorization`.
    pub(crate) fn connect(options: &Options) -> Result<Self, Failure> {
        let (to, path, authorization) = (options.text("to")?, options.text("path")?, options.text("authorization")?);
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {to}\r\nAuthorization: {authorization}\r\n\r\n");
        Ok(Self { stream: BufReader::with_capacity(256 << 10, stream), request: request.into_bytes() })
    }

    pub(crate) fn get(&mut self) -> Result<Answer, Failure> {
        self.stream.get_mut().write_all(&self.request)?;
        let head = Head::read(&mut self.stream)?;
        let bytes = match head.length {
            Some(length) => self.skip(length)?,
            None => self.skip_chunks()?,
        };
        Ok(Answer { status: head.status, bytes })
    }

    fn skip(&mut self, length: u64) -> Result<u64, Failure> {
        let mut left = length;
        while left > 0 {
            let have = self.stream.fill_buf()?.len();
            if have == 0 {
                return Err("the answer ended early".into());
            }
            let taken = have.min(usize::try_from(left).unwrap_or(usize::MAX));
            self.stream.consume(taken);
            left -= taken as u64;
        }
        Ok(length)
    }

    fn skip_chunks(&mut self) -> Result<u64, Failure> {
        let mut total = 0;
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line)?;
            let length = u64::from_str_radix(line.trim(), 16)?;
            total += self.skip(length)?;
            let mut end = [0; 2];
            self.stream.read_exact(&mut end)?;
            if length == 0 {
                return Ok(total);
            }
        }
    }
}

/// Status line and the header that says how long the body is.
pub(crate) struct Head {
    pub(crate) status: u16,
    /// None: chunked.
    length: Option<u64>,
}

impl Head {
    pub(crate) fn read(from: &mut impl BufRead) -> Result<Self, Failure> {
        let mut line = String::new();
        from.read_line(&mut line)?;
        let status = line.split(' ').nth(1).ok_or_else(|| format!("{line:?}: no status line"))?.parse()?;
        let mut length = Some(0);
        loop {
            line.clear();
            from.read_line(&mut line)?;
            let Some((name, value)) = line.trim().split_once(':') else { return Ok(Self { status, length }) };
            if name.eq_ignore_ascii_case("content-length") {
                length = Some(value.trim().parse()?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                length = None;
            }
        }
    }
}
