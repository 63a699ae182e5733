//! The commands.

use std::time::Duration;

use super::{Flow, Io, Shell};
use crate::dev::rack::reply::Failure;

/// Most bytes that one command makes up.
const MADE_MAX: usize = 64 << 20;
/// Piece of an endless file.
const PIECE: usize = 32 * 1024;

impl Shell<'_, '_> {
    /// Runs one command: its name and its arguments.
    pub(super) async fn run(&mut self, words: Vec<String>, io: &mut Io) -> Result<Flow, Failure> {
        let Some((name, args)) = words.split_first() else { return Ok(Flow::Next(0)) };
        let code = match name.as_str() {
            ":" | "true" | "export" => 0,
            "false" => 1,
            "exit" => return Ok(Flow::Exit(args.first().map_or(self.last, |n| n.parse().unwrap_or(2) & 0xff))),
            "sh" | "bash" | "/bin/sh" | "/bin/bash" => return self.nested(args, io).await,
            "echo" => self.echo(args, io).await?,
            "printf" => self.say(io, &unescape(args.first().map_or("", String::as_str))).await?,
            "cat" => self.cat(args, io).await?,
            "head" => self.head(args, io).await?,
            "tr" => self.tr(args, io).await?,
            "wc" => self.wc(io).await?,
            "read" => self.read(args, io).await?,
            "env" | "printenv" => self.env(args, io).await?,
            "ls" => self.ls(args, io).await?,
            "pwd" => self.say(io, b"/\n").await?,
            "whoami" => self.say(io, b"root\n").await?,
            "id" => self.say(io, b"uid=0(root) gid=0(root) groups=0(root)\n").await?,
            "uname" => self.say(io, b"Linux\n").await?,
            "hostname" => {
                let host = format!("{}\n", self.place.host);
                self.say(io, host.as_bytes()).await?
            }
            "date" => {
                let now = format!("{}\n", self.place.rack.now());
                self.say(io, now.as_bytes()).await?
            }
            "sleep" => self.sleep(args, io).await?,
            "stty" => self.stty(args, io).await?,
            other => {
                self.put(io, format!("sh: {other}: not found\n").as_bytes()).await?;
                127
            }
        };
        Ok(Flow::Next(code))
    }

    async fn nested(&mut self, args: &[String], io: &mut Io) -> Result<Flow, Failure> {
        let flow = match args {
            [flag, script, ..] if flag.ends_with('c') => self.script(script, io).await?,
            _ => Box::pin(self.interactive(io)).await?,
        };
        // `exit` ended the inner shell only.
        Ok(Flow::Next(flow.code()))
    }

    async fn say(&mut self, io: &mut Io, text: &[u8]) -> Result<i32, Failure> {
        self.put(io, text).await?;
        Ok(0)
    }

    async fn echo(&mut self, args: &[String], io: &mut Io) -> Result<i32, Failure> {
        let (args, end) = match args {
            [flag, rest @ ..] if flag == "-n" => (rest, ""),
            _ => (args, "\n"),
        };
        let text = format!("{}{end}", args.join(" "));
        self.say(io, text.as_bytes()).await
    }

    async fn cat(&mut self, files: &[String], io: &mut Io) -> Result<i32, Failure> {
        if files.is_empty() {
            while let Some(piece) = self.piece(io).await? {
                self.put(io, &piece).await?;
            }
            return Ok(0);
        }
        let mut code = 0;
        for file in files {
            if file == "/dev/zero" && io.output.is_none() {
                loop {
                    self.put(io, &[0; PIECE]).await?;
                }
            }
            match self.content(file, MADE_MAX) {
                Some(content) => self.put(io, &content).await?,
                None => {
                    self.put(io, format!("cat: {file}: No such file or directory\n").as_bytes()).await?;
                    code = 1;
                }
            }
        }
        Ok(code)
    }

    fn content(&self, path: &str, limit: usize) -> Option<Vec<u8>> {
        match path {
            "/dev/zero" => Some(vec![0; limit.min(MADE_MAX)]),
            "/dev/null" => Some(Vec::new()),
            path => self.place.file(path).map(|content| content.iter().take(limit).copied().collect()),
        }
    }

    /// `head -c N [FILE]`.
    async fn head(&mut self, args: &[String], io: &mut Io) -> Result<i32, Failure> {
        let [flag, count, files @ ..] = args else { return self.usage(io, "head -c N [FILE]").await };
        let (true, Ok(count)) = (flag == "-c", count.parse::<usize>()) else {
            return self.usage(io, "head -c N [FILE]").await;
        };
        if let [file, ..] = files {
            return match self.content(file, count) {
                Some(content) => self.say(io, &content).await,
                None => {
                    self.put(io, format!("head: {file}: No such file or directory\n").as_bytes()).await?;
                    Ok(1)
                }
            };
        }
        let mut left = count;
        while left > 0 {
            let Some(piece) = self.piece(io).await? else { break };
            let taken: Vec<u8> = piece.into_iter().take(left).collect();
            left -= taken.len();
            self.put(io, &taken).await?;
        }
        Ok(0)
    }

    /// `tr FROM TO`: the last character of `TO` stands for those that it lacks.
    async fn tr(&mut self, args: &[String], io: &mut Io) -> Result<i32, Failure> {
        let [from, to] = args else { return self.usage(io, "tr FROM TO").await };
        let (from, to) = (ranges(&unescape(from)), ranges(&unescape(to)));
        let map = |byte: u8| match from.iter().position(|&b| b == byte) {
            Some(at) => to.get(at).or(to.last()).copied().unwrap_or(byte),
            None => byte,
        };
        while let Some(piece) = self.piece(io).await? {
            let piece: Vec<u8> = piece.into_iter().map(map).collect();
            self.put(io, &piece).await?;
        }
        Ok(0)
    }

    /// `wc -c`.
    async fn wc(&mut self, io: &mut Io) -> Result<i32, Failure> {
        let mut count = 0;
        while let Some(piece) = self.piece(io).await? {
            count += piece.len();
        }
        self.say(io, format!("{count}\n").as_bytes()).await
    }

    async fn read(&mut self, args: &[String], io: &mut Io) -> Result<i32, Failure> {
        let line = self.line(io).await?;
        let code = i32::from(line.is_none());
        let line = line.unwrap_or_default();
        let text = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(&line)).into_owned();
        self.variables.insert(args.first().cloned().unwrap_or_else(|| "REPLY".to_owned()), text);
        Ok(code)
    }

    async fn env(&mut self, args: &[String], io: &mut Io) -> Result<i32, Failure> {
        if let [name, ..] = args {
            let Some(value) = self.variable(name) else { return Ok(1) };
            return self.say(io, format!("{value}\n").as_bytes()).await;
        }
        let text: String = self.place.environment.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        self.say(io, text.as_bytes()).await
    }

    async fn ls(&mut self, args: &[String], io: &mut Io) -> Result<i32, Failure> {
        let path = args.iter().find(|arg| !arg.starts_with('-')).map_or("/", String::as_str);
        let text: String = self.place.list(path).into_iter().map(|name| name + "\n").collect();
        self.say(io, text.as_bytes()).await
    }

    async fn sleep(&mut self, args: &[String], io: &mut Io) -> Result<i32, Failure> {
        let time = args.first().and_then(|n| n.trim_end_matches('s').parse().ok());
        let Some(time) = time.and_then(|n| Duration::try_from_secs_f64(n).ok()) else {
            return self.usage(io, "sleep SECONDS").await;
        };
        actix_rt::time::sleep(time).await;
        Ok(0)
    }

    async fn stty(&mut self, args: &[String], io: &mut Io) -> Result<i32, Failure> {
        match args {
            [what] if what == "size" && self.terminal.tty() => {
                let (rows, columns) = self.terminal.size();
                self.say(io, format!("{rows} {columns}\n").as_bytes()).await
            }
            _ => {
                self.put(io, b"stty: standard input: Inappropriate ioctl for device\n").await?;
                Ok(1)
            }
        }
    }

    async fn usage(&mut self, io: &mut Io, usage: &str) -> Result<i32, Failure> {
        self.put(io, format!("usage: {usage}\n").as_bytes()).await?;
        Ok(2)
    }
}

/// `\n`, `\t`, `\r`, `\\`, `\0`, `\xHH` of `printf` and `tr`.
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let escaped = if c == '\\' { chars.next() } else { None };
        match escaped {
            None => out.extend(c.encode_utf8(&mut [0; 4]).bytes()),
            Some('n') => out.push(b'\n'),
            Some('t') => out.push(b'\t'),
            Some('r') => out.push(b'\r'),
            Some('0') => out.push(0),
            Some('x') => {
                let digits: String = chars.by_ref().take(2).collect();
                out.extend(u8::from_str_radix(&digits, 16));
            }
            Some(other) => out.extend(other.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    out
}

/// `a-z` in a set of `tr`.
fn ranges(set: &[u8]) -> Vec<u8> {
    match set {
        [first, b'-', last, rest @ ..] => (*first..=*last).chain(ranges(rest)).collect(),
        [first, rest @ ..] => std::iter::once(*first).chain(ranges(rest)).collect(),
        [] => Vec::new(),
    }
}
