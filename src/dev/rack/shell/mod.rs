//! A small shell that runs no program: a handful of built-in commands over files in memory.

mod builtins;
mod words;

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;

use self::words::{Command, Part, Pipeline, When, Word};
use super::reply::Failure;
use super::state::RackState;
use super::terminal::Terminal;

/// What the shell says of a script that it cannot read, and its code.
const SYNTAX: (&[u8], i32) = (b"sh: syntax error\n", 2);

/// Where a command runs.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) rack: RackState,
    /// Empty on an instance.
    pub(super) app: String,
    /// Process or instance.
    pub(super) host: String,
    pub(super) environment: BTreeMap<String, String>,
}

impl Place {
    /// A file of this process.
    fn file(&self, path: &str) -> Option<Bytes> {
        let data = self.rack.data();
        data.apps.get(&self.app)?.files.get(&self.host, path)
    }

    fn save(&self, path: &str, content: Vec<u8>, append: bool) {
        let mut data = self.rack.data();
        let Some(app) = data.apps.get_mut(&self.app) else { return };
        let mut whole = if append { app.files.get(&self.host, path).unwrap_or_default().to_vec() } else { Vec::new() };
        whole.extend(content);
        app.files.put(&self.host, path, whole.into());
    }

    fn list(&self, path: &str) -> Vec<String> {
        self.rack.data().apps.get(&self.app).map(|app| app.files.list(&self.host, path)).unwrap_or_default()
    }
}

/// What a command left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    /// The code of the last command.
    Next(i32),
    /// The shell ends with this code.
    Exit(i32),
}

impl Flow {
    fn code(self) -> i32 {
        match self {
            Self::Next(code) | Self::Exit(code) => code,
        }
    }
}

/// Standard input and output of a command; none stands for the terminal.
#[derive(Debug, Default)]
struct Io {
    input: Option<Vec<u8>>,
    output: Option<Vec<u8>>,
}

type Done<'a> = LocalBoxFuture<'a, Result<Flow, Failure>>;

/// A shell on a terminal.
pub(super) struct Shell<'t, 's> {
    place: Place,
    terminal: &'t mut Terminal<'s>,
    variables: BTreeMap<String, String>,
    last: i32,
}

impl<'t, 's> Shell<'t, 's> {
    pub(super) fn new(place: Place, terminal: &'t mut Terminal<'s>) -> Self {
        Self { place, terminal, variables: BTreeMap::new(), last: 0 }
    }

    /// Runs the command of an exec: split into words, not interpreted by a shell.
    ///
    /// # Errors
    /// The client is gone.
    pub(super) async fn command_line(&mut self, command: &str) -> Result<i32, Failure> {
        let words = match words::plain(command) {
            Some(words) if !words.is_empty() => words,
            Some(_) => vec!["sh".to_owned()],
            None => return self.syntax(&mut Io::default()).await.map(Flow::code),
        };
        self.run(words, &mut Io::default()).await.map(Flow::code)
    }

    /// Reads commands until the input ends or one says `exit`.
    async fn interactive(&mut self, io: &mut Io) -> Result<Flow, Failure> {
        let prompt = self.terminal.tty() && io.input.is_none();
        let mut code = 0;
        loop {
            if prompt {
                self.terminal.write(b"# ").await?;
            }
            let Some(line) = self.line(io).await? else { return Ok(Flow::Next(code)) };
            match self.script(&String::from_utf8_lossy(&line), io).await? {
                Flow::Next(next) => code = next,
                // The end of this shell, not of the one around it.
                Flow::Exit(code) => return Ok(Flow::Next(code)),
            }
        }
    }

    fn script<'a>(&'a mut self, text: &'a str, io: &'a mut Io) -> Done<'a> {
        Box::pin(async move {
            let Some(pipelines) = words::script(text) else { return self.syntax(io).await };
            for pipeline in pipelines {
                let run = match pipeline.when {
                    When::Always => true,
                    When::Succeeded => self.last == 0,
                    When::Failed => self.last != 0,
                };
                if run {
                    match self.pipeline(pipeline, io).await? {
                        Flow::Next(code) => self.last = code,
                        exit @ Flow::Exit(_) => return Ok(exit),
                    }
                }
            }
            Ok(Flow::Next(self.last))
        })
    }

    async fn syntax(&mut self, io: &mut Io) -> Result<Flow, Failure> {
        let (text, code) = SYNTAX;
        self.put(io, text).await?;
        Ok(Flow::Next(code))
    }

    async fn pipeline(&mut self, pipeline: Pipeline, outer: &mut Io) -> Result<Flow, Failure> {
        let count = pipeline.commands.len();
        let mut input = outer.input.take();
        let mut flow = Flow::Next(0);
        for (at, command) in pipeline.commands.into_iter().enumerate() {
            let piped = at + 1 < count;
            let captured = piped || command.to.is_some();
            let output = if captured { Some(Vec::new()) } else { outer.output.take() };
            let mut io = Io { input: input.take(), output };
            let to = command.to.clone();
            flow = self.command(command, &mut io).await?;
            if let Some((file, append)) = to {
                let file = self.expand(&file);
                self.place.save(&file, io.output.take().unwrap_or_default(), append);
            } else if piped {
                input = Some(io.output.take().unwrap_or_default());
            } else {
                outer.output = io.output.take();
            }
            if at == 0 && !piped {
                outer.input = io.input.take();
            }
        }
        Ok(flow)
    }

    async fn command(&mut self, command: Command, io: &mut Io) -> Result<Flow, Failure> {
        let words: Vec<String> = command.words.iter().map(|word| self.expand(word)).collect();
        match words.as_slice() {
            [assignment] => match assignment.split_once('=').filter(|(name, _)| is_name(name)) {
                Some((name, value)) => {
                    self.variables.insert(name.to_owned(), value.to_owned());
                    Ok(Flow::Next(0))
                }
                None => self.run(words, io).await,
            },
            _ => self.run(words, io).await,
        }
    }

    fn expand(&self, word: &Word) -> String {
        word.iter()
            .map(|part| match part {
                Part::Literal(text) => text.clone(),
                Part::Variable(name) if name == "?" => self.last.to_string(),
                Part::Variable(name) => self.variable(name).unwrap_or_default(),
            })
            .collect()
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).or_else(|| self.place.environment.get(name)).cloned()
    }

    async fn put(&mut self, io: &mut Io, bytes: &[u8]) -> Result<(), Failure> {
        match &mut io.output {
            Some(output) => {
                output.extend_from_slice(bytes);
                Ok(())
            }
            None => self.terminal.write(bytes).await,
        }
    }

    async fn line(&mut self, io: &mut Io) -> Result<Option<Vec<u8>>, Failure> {
        let Some(input) = &mut io.input else { return self.terminal.line().await };
        if input.is_empty() {
            return Ok(None);
        }
        let end = input.iter().position(|&b| b == b'\n').map_or(input.len(), |at| at + 1);
        let rest = input.split_off(end);
        Ok(Some(std::mem::replace(input, rest)))
    }

    async fn piece(&mut self, io: &mut Io) -> Result<Option<Vec<u8>>, Failure> {
        match &mut io.input {
            Some(input) if input.is_empty() => Ok(None),
            Some(input) => Ok(Some(std::mem::take(input))),
            None => self.terminal.piece().await,
        }
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
