//! The commands.

use std::future::ready;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;

use super::{Flow, Io, Shell};
use crate::dev::rack::reply::Failure;

/// Most bytes that one command makes up.
const MADE_MAX: usize = 64 << 20;
/// Piece of an endless file.
const PIECE: usize = 32 * 1024;

type Code<'a> = LocalBoxFuture<'a, Result<i32, Failure>>;

impl Shell<'_, '_> {
    /// Runs one command: its name and its arguments.
    pub(super) async fn run(&mut self, words: Vec<String>, io: &mut Io) -> Result<Flow, Failure> {
        let Some((name, args)) = words.split_first() else { return Ok(Flow::Next(0)) };
        if let Some(text) = self.fact(name) {
            return self.say(io, text.as_bytes()).await.map(Flow::Next);
        }
        match name.as_str() {
            "exit" => Ok(Flow::Exit(args.first().map_or(self.last, |n| n.parse().unwrap_or(2) & 0xff))),
            "sh" | "bash" | "/bin/sh" | "/bin/bash" => self.nested(args, io).await,
            _ => self.builtin(name, args, io).await.map(Flow::Next),
        }
    }

    /// What a command says that needs no arguments.
    fn fact(&self, name: &str) -> Option<String> {
        Some(match name {
            "pwd" => "/\n".to_owned(),
            "whoami" => "root\n".to_owned(),
            "id" => "uid=0(root) gid=0(root) groups=0(root)\n".to_owned(),
            "uname" => "Linux\n".to_owned(),
            "hostname" => format!("{}\n", self.place.host),
            "date" => format!("{}\n", self.place.rack.now()),
            _ => return None,
        })
    }

    fn builtin<'a>(&'a mut self, name: &'a str, args: &'a [String], io: &'a mut Io) -> Code<'a> {
        match name {
            ":" | "true" | "export" => Box::pin(ready(Ok(0))),
            "false" => Box::pin(ready(Ok(1))),
            "echo" => Box::pin(self.echo(args, io)),
            "printf" => Box::pin(self.printf(args, io)),
            "cat" => Box::pin(self.cat(args, io)),
            "head" => Box::pin(self.head(args, io)),
            "tr" => Box::pin(self.tr(args, io)),
            "wc" => Box::pin(self.wc(io)),
            "read" => Box::pin(self.read(args, io)),
            "env" | "printenv" => Box::pin(self.env(args, io)),
            "ls" => Box::pin(self.ls(args, io)),
            "sleep" => Box::pin(self.sleep(args, io)),
            "stty" => Box::pin(self.stty(args, io)),
            other => Box::pin(self.unknown(other, io)),
        }
    }

    async fn unknown(&mut self, name: &str, io: &mut Io) -> Result<i32, Failure> {
        self.put(io, format!("sh: {name}: not found\n").as_bytes()).await?;
        Ok(127)
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

    async fn printf(&mut self, args: &[String], io: &mut Io) -> Result<i32, Failure> {
        self.say(io, &unescape(args.first().map_or("", String::as_str))).await
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
