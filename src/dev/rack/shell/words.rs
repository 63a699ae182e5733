//! The grammar of the small shell: words, quotes, variables, `;`, `&&`, `||`, `|`, `>` and `>>`.

/// A piece of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// As it stands.
    Literal(String),
    /// `$NAME`, `${NAME}` or `$?`.
    Variable(String),
}

/// A word, before its variables are replaced.
pub(super) type Word = Vec<Part>;

/// One command of a pipeline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) words: Vec<Word>,
    /// File and whether output is appended to it.
    pub(super) to: Option<(Word, bool)>,
}

/// When a pipeline runs, given the code of the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    Always,
    Succeeded,
    Failed,
}

/// Commands connected by `|`, and when they run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pipeline {
    pub(super) when: When,
    pub(super) commands: Vec<Command>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(Word),
    Pipe,
    Then(When),
    To(bool),
}

/// A script; none if a quote is open or an operator stands where a word should.
pub(super) fn script(text: &str) -> Option<Vec<Pipeline>> {
    let mut pipelines = Vec::new();
    let mut when = When::Always;
    let mut commands = Vec::new();
    let mut command = Command::default();
    let mut tokens = tokens(text)?.into_iter();
    while let Some(token) = tokens.next() {
        match token {
            Token::Word(word) => command.words.push(word),
            Token::To(append) => {
                let Some(Token::Word(file)) = tokens.next() else { return None };
                command.to = Some((file, append));
            }
            Token::Pipe if command.words.is_empty() => return None,
            Token::Pipe => commands.push(std::mem::take(&mut command)),
            Token::Then(next) => {
                let empty = command.words.is_empty();
                if empty && (next != When::Always || !commands.is_empty()) {
                    return None;
                }
                if !empty {
                    commands.push(std::mem::take(&mut command));
                    pipelines.push(Pipeline { when, commands: std::mem::take(&mut commands) });
                }
                when = next;
            }
        }
    }
    Some(pipelines)
}

/// Words without variables, as a rack splits the command of an exec.
pub(super) fn plain(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        if chars.peek().is_none() {
            return Some(words);
        }
        words.push(flat(word(&mut chars, false)?));
    }
}

fn flat(word: Word) -> String {
    word.into_iter()
        .map(|part| match part {
            Part::Literal(text) => text,
            Part::Variable(name) => format!("${name}"),
        })
        .collect()
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(&c) = chars.peek() {
        let token = match c {
            '\n' | ';' => Token::Then(When::Always),
            '&' => Token::Then(When::Succeeded),
            '|' => Token::Pipe,
            '>' => Token::To(false),
            c if c.is_whitespace() => {
                chars.next();
                continue;
            }
            // A comment reaches to the end of its line.
            '#' => {
                while chars.next_if(|&c| c != '\n').is_some() {}
                continue;
            }
            _ => {
                tokens.push(Token::Word(word(&mut chars, true)?));
                continue;
            }
        };
        chars.next();
        let doubled = chars.next_if_eq(&c).is_some() && !matches!(c, '\n' | ';');
        tokens.push(match token {
            Token::Pipe if doubled => Token::Then(When::Failed),
            Token::To(_) => Token::To(doubled),
            Token::Then(When::Succeeded) if !doubled => return None,
            other => other,
        });
    }
    // The end of the text ends the last pipeline.
    tokens.push(Token::Then(When::Always));
    Some(tokens)
}

/// One word; `shell` tells whether operators end it and variables count.
fn word(chars: &mut Chars<'_>, shell: bool) -> Option<Word> {
    let mut word = Word::new();
    let mut text = String::new();
    while let Some(&c) = chars.peek() {
        if c.is_whitespace() || (shell && matches!(c, ';' | '&' | '|' | '>')) {
            break;
        }
        chars.next();
        match c {
            '\'' => single(chars, &mut text)?,
            '"' => double(chars, &mut text, &mut word, shell)?,
            '\\' => text.extend(chars.next()),
            '$' if shell => variable(chars, &mut text, &mut word),
            other => text.push(other),
        }
    }
    // An empty quoted string is a word, too.
    if !text.is_empty() || word.is_empty() {
        word.push(Part::Literal(text));
    }
    Some(word)
}

fn single(chars: &mut Chars<'_>, text: &mut String) -> Option<()> {
    loop {
        match chars.next()? {
            '\'' => return Some(()),
            other => text.push(other),
        }
    }
}

fn double(chars: &mut Chars<'_>, text: &mut String, word: &mut Word, shell: bool) -> Option<()> {
    loop {
        match chars.next()? {
            '"' => return Some(()),
            '\\' => match chars.next()? {
                escaped @ ('"' | '\\' | '$') => text.push(escaped),
                other => text.extend(['\\', other]),
            },
            '$' if shell => variable(chars, text, word),
            other => text.push(other),
        }
    }
}

fn variable(chars: &mut Chars<'_>, text: &mut String, word: &mut Word) {
    let mut name = String::new();
    if chars.next_if_eq(&'?').is_some() {
        name.push('?');
    } else {
        let braces = chars.next_if_eq(&'{').is_some();
        while let Some(c) = chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
            name.push(c);
        }
        if braces {
            chars.next_if_eq(&'}');
        }
    }
    if name.is_empty() {
        text.push('$');
        return;
    }
    if !text.is_empty() {
        word.push(Part::Literal(std::mem::take(text)));
    }
    word.push(Part::Variable(name));
}
