//! `calc`: lines in, values out.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use calc::calculator::{Answer, Calculator, Failure, Place};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{Context, Editor};

const HELP: &str = "\
1 + 2 * 3                      an expression: + - * / ^ < == and ( )
f(x) = x ^ 2 + 1               a function; the same line with another body replaces it
if x < 1 then 2 else 3         a choice; 0 is false
:asm f                         the machine instructions of f
:list                          the functions that you have defined
:time                          tells how long each line takes, or stops telling
:undo                          takes the last definition back
:quit                          ends this, as does Ctrl-D";

const USAGE: &str = "\
usage: calc [--here]

A calculator. What you enter is compiled to machine code, linked and run.

  --here   runs calculations in this process, with the function show(x)
  --help   prints this";

const PROMPT: &str = "> ";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let place = match arguments.as_slice() {
        [] => Place::Spawned,
        ["--here"] => Place::Here,
        ["--help"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match Repl::new(place).and_then(|repl| repl.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Completes names of functions.
struct Names(Vec<String>);

impl Completer for Names {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let before = &line[..position];
        let is_part = |it: char| it.is_ascii_alphanumeric() || it == '_';
        let start = before.trim_end_matches(is_part).len();
        let begun = &before[start..];
        let fits = |name: &&String| !begun.is_empty() && name.starts_with(begun);
        Ok((start, self.0.iter().filter(fits).cloned().collect()))
    }
}

impl rustyline::hint::Hinter for Names {
    type Hint = String;
}
impl rustyline::highlight::Highlighter for Names {}
impl rustyline::validate::Validator for Names {}
impl rustyline::Helper for Names {}

struct Repl {
    calculator: Calculator,
    editor: Editor<Names, DefaultHistory>,
    tells_times: bool,
    has_colour: bool,
}

type Anything = Box<dyn std::error::Error>;

impl Repl {
    fn new(place: Place) -> Result<Self, Anything> {
        let calculator = Calculator::new(place)?;
        let mut editor = Editor::new()?;
        editor.set_helper(Some(Names(calculator.names())));
        let is_terminal = std::io::stdout().is_terminal();
        Ok(Self {
            calculator,
            editor,
            tells_times: false,
            has_colour: is_terminal && std::env::var_os("NO_COLOR").is_none(),
        })
    }

    fn run(mut self) -> Result<(), Anything> {
        if std::io::stdin().is_terminal() {
            println!("A calculator. :help says what it can do.");
        }
        loop {
            let line = match self.editor.readline(PROMPT) {
                Ok(line) => line,
                // Ctrl-C forgets the line.
                Err(ReadlineError::Interrupted) => continue,
                Err(ReadlineError::Eof) => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            if line.trim().is_empty() {
                continue;
            }
            self.editor.add_history_entry(&line)?;
            match line.trim().strip_prefix(':') {
                Some("quit") => return Ok(()),
                Some(command) => self.command(command),
                None => self.enter(&line),
            }
            self.editor.set_helper(Some(Names(self.calculator.names())));
            std::io::stdout().flush()?;
        }
    }

    fn command(&mut self, command: &str) {
        let words: Vec<&str> = command.split_whitespace().collect();
        match words.as_slice() {
            ["help"] => println!("{HELP}"),
            ["asm", name] => match self.calculator.assembly(name) {
                Ok(text) => print!("{text}"),
                Err(failure) => self.tell("", &failure),
            },
            ["list"] => {
                for signature in self.calculator.signatures() {
                    println!("{signature}");
                }
            }
            ["time"] => {
                self.tells_times = !self.tells_times;
                let told = if self.tells_times { "on" } else { "off" };
                println!("times are {told}");
            }
            ["undo"] => match self.calculator.undo() {
                Ok(Some(name)) => println!("{name} is as it was before"),
                Ok(None) => println!("there is nothing to undo"),
                Err(failure) => self.tell("", &failure),
            },
            _ => println!(":{command} is no command; :help lists them"),
        }
    }

    fn enter(&mut self, line: &str) {
        match self.calculator.enter(line) {
            Ok(Answer::Value(value)) => println!("{value}"),
            Ok(Answer::Defined(name, false)) => println!("{name} is defined"),
            Ok(Answer::Defined(name, true)) => println!("{name} has a new body"),
            Err(failure) => return self.tell(line, &failure),
        }
        if self.tells_times {
            let times = self.calculator.times();
            let [compile, run] = [times.compile, times.run].map(microseconds);
            println!("compiled in {compile}, linked and run in {run}");
        }
    }

    /// Shows what is wrong, and where in the line.
    fn tell(&self, line: &str, failure: &Failure) {
        let (red, plain) = match self.has_colour {
            true => ("\u{1b}[31m", "\u{1b}[0m"),
            false => ("", ""),
        };
        match failure {
            Failure::Line(error) => {
                println!("  {line}");
                let place = " ".repeat(error.column);
                println!("  {place}{red}^ {}{plain}", error.message);
            }
            _ => println!("{red}{failure}{plain}"),
        }
    }
}

fn microseconds(time: Duration) -> String {
    format!("{} µs", time.as_micros())
}
