//! The language: what a line may say, and how it is read.

use std::fmt;

/// What a line says.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    /// `name(a, b) = expression`
    Define(Function),
    /// `expression`
    Evaluate(Expr),
}

/// A function of a program. Functions of one name that take different numbers of arguments are
/// different functions.
#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    /// As the program calls it.
    pub name: String,
    /// Names of what it takes.
    pub parameters: Vec<String>,
    /// What it is.
    pub body: Expr,
}

/// An expression. All values are numbers.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// A number.
    Number(f64),
    /// A parameter of the function, by its place.
    Parameter(usize),
    /// `-x`
    Negate(Box<Expr>),
    /// `a + b`; comparisons give 1 or 0.
    Binary(Operator, Box<Expr>, Box<Expr>),
    /// `if condition then a else b`; all but 0 is true.
    If(Box<[Expr; 3]>),
    /// `name(a, b)`
    Call(Call),
}

/// A call of a function.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The function.
    pub name: String,
    /// What it gets.
    pub arguments: Vec<Expr>,
    /// Where the line has it: characters before it.
    pub column: usize,
}

/// What stands between two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
    Less,
    Equal,
}

/// A line that says nothing, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// Characters of the line before the place.
    pub column: usize,
    /// What is wrong there.
    pub message: String,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}", self.column + 1, self.message)
    }
}

impl std::error::Error for SyntaxError {}

/// Reads a line.
///
/// # Errors
/// When it is no statement.
pub fn parse(line: &str) -> Result<Statement, SyntaxError> {
    let tokens = tokens(line)?;
    let mut parser = Parser {
        tokens,
        at: 0,
        depth: 0,
        parameters: Vec::new(),
    };
    let statement = match parser.head() {
        Some((name, parameters)) => {
            parser.check_head()?;
            parser.parameters.clone_from(&parameters);
            let body = parser.expression()?;
            Statement::Define(Function {
                name,
                parameters,
                body,
            })
        }
        None => Statement::Evaluate(parser.expression()?),
    };
    match parser.peek() {
        Token::End => Ok(statement),
        _ => parser.fail("an operator or the end of the line was expected here"),
    }
}

impl Expr {
    /// All calls in it.
    #[must_use]
    pub fn calls(&self) -> Vec<&Call> {
        let mut calls = Vec::new();
        self.collect_calls(&mut calls);
        calls
    }

    fn collect_calls<'a>(&'a self, calls: &mut Vec<&'a Call>) {
        match self {
            Self::Number(_) | Self::Parameter(_) => {}
            Self::Negate(operand) => operand.collect_calls(calls),
            Self::Binary(_, left, right) => {
                left.collect_calls(calls);
                right.collect_calls(calls);
            }
            Self::If(parts) => parts.iter().for_each(|part| part.collect_calls(calls)),
            Self::Call(call) => {
                calls.push(call);
                call.arguments.iter().for_each(|it| it.collect_calls(calls));
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Number(f64),
    Name(String),
    Sign(char),
    /// `==`
    Equals,
    End,
}

fn tokens(line: &str) -> Result<Vec<(usize, Token)>, SyntaxError> {
    let characters: Vec<char> = line.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&first) = characters.get(at) {
        let column = at;
        let mut word = |belongs: fn(char) -> bool| -> String {
            let rest = &characters[at..];
            let word: String = rest.iter().take_while(|it| belongs(**it)).collect();
            at += word.chars().count();
            word
        };
        let token = match first {
            _ if first.is_whitespace() => {
                at += 1;
                continue;
            }
            '0'..='9' | '.' => {
                let digits = word(|it| it.is_ascii_digit() || it == '.');
                let number = digits.parse().map_err(|_| SyntaxError {
                    column,
                    message: format!("{digits} is no number"),
                })?;
                Token::Number(number)
            }
            'a'..='z' | 'A'..='Z' | '_' => {
                Token::Name(word(|it| it.is_ascii_alphanumeric() || it == '_'))
            }
            '=' if characters.get(at + 1) == Some(&'=') => {
                at += 2;
                Token::Equals
            }
            '+' | '-' | '*' | '/' | '^' | '<' | '=' | '(' | ')' | ',' => {
                at += 1;
                Token::Sign(first)
            }
            _ => {
                return Err(SyntaxError {
                    column,
                    message: format!("the language has no {first:?}"),
                });
            }
        };
        if tokens.len() == MAX_TOKENS {
            let message = format!("a line has at most {MAX_TOKENS} numbers, names and signs");
            return Err(SyntaxError { column, message });
        }
        tokens.push((column, token));
    }
    tokens.push((characters.len(), Token::End));
    Ok(tokens)
}

/// Expressions may be nested that deep: the parser and the compiler go down on the stack.
const MAX_DEPTH: usize = 200;

/// So long may a line be, which bounds the depth of `1 + 1 + 1 + ...`.
const MAX_TOKENS: usize = 1000;

/// Names that mean something else.
const KEYWORDS: [&str; 3] = ["if", "then", "else"];

struct Parser {
    tokens: Vec<(usize, Token)>,
    at: usize,
    depth: usize,
    parameters: Vec<String>,
}

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.at].1
    }

    fn column(&self) -> usize {
        self.tokens[self.at].0
    }

    fn advance(&mut self) -> Token {
        let token = self.peek().clone();
        if token != Token::End {
            self.at += 1;
        }
        token
    }

    fn fail<T>(&self, message: impl Into<String>) -> Result<T, SyntaxError> {
        Err(SyntaxError {
            column: self.column(),
            message: message.into(),
        })
    }

    fn eat(&mut self, sign: char) -> bool {
        let is_it = *self.peek() == Token::Sign(sign);
        if is_it {
            self.at += 1;
        }
        is_it
    }

    fn expect(&mut self, sign: char) -> Result<(), SyntaxError> {
        match self.eat(sign) {
            true => Ok(()),
            false => self.fail(format!("{sign:?} was expected here")),
        }
    }

    /// `name(a, b) =`, if the line begins so.
    fn head(&mut self) -> Option<(String, Vec<String>)> {
        let start = self.at;
        let head = self.try_head();
        if head.is_none() {
            self.at = start;
        }
        head
    }

    /// Whether the names of the head, which was just read, can be told apart.
    fn check_head(&self) -> Result<(), SyntaxError> {
        let mut parameters = Vec::new();
        for (place, (column, token)) in self.tokens[..self.at].iter().enumerate() {
            let Token::Name(name) = token else { continue };
            let message = if KEYWORDS.contains(&name.as_str()) {
                format!("{name} is a word of the language")
            } else if parameters.contains(&name) {
                format!("there are two parameters called {name}")
            } else {
                // The first one is the function's own.
                parameters.extend((place > 0).then_some(name));
                continue;
            };
            let column = *column;
            return Err(SyntaxError { column, message });
        }
        Ok(())
    }

    fn try_head(&mut self) -> Option<(String, Vec<String>)> {
        let Token::Name(name) = self.advance() else {
            return None;
        };
        let mut parameters = Vec::new();
        if !self.eat('(') {
            return None;
        }
        while !self.eat(')') {
            let Token::Name(parameter) = self.advance() else {
                return None;
            };
            parameters.push(parameter);
            if !self.eat(',') && *self.peek() != Token::Sign(')') {
                return None;
            }
        }
        self.eat('=').then_some((name, parameters))
    }

    fn expression(&mut self) -> Result<Expr, SyntaxError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.fail("this is nested too deep");
        }
        let expression = match self.peek() {
            Token::Name(name) if name == "if" => self.choice(),
            _ => self.comparison(),
        };
        self.depth -= 1;
        expression
    }

    fn choice(&mut self) -> Result<Expr, SyntaxError> {
        self.advance();
        let condition = self.expression()?;
        self.word("then")?;
        let yes = self.expression()?;
        self.word("else")?;
        let no = self.expression()?;
        Ok(Expr::If(Box::new([condition, yes, no])))
    }

    fn word(&mut self, word: &str) -> Result<(), SyntaxError> {
        match self.peek() {
            Token::Name(name) if name == word => {
                self.at += 1;
                Ok(())
            }
            _ => self.fail(format!("`{word}` was expected here")),
        }
    }

    fn comparison(&mut self) -> Result<Expr, SyntaxError> {
        let left = self.sum()?;
        let operator = match self.peek() {
            Token::Sign('<') => Operator::Less,
            Token::Equals => Operator::Equal,
            _ => return Ok(left),
        };
        self.advance();
        Ok(binary(operator, left, self.sum()?))
    }

    fn sum(&mut self) -> Result<Expr, SyntaxError> {
        let mut left = self.product()?;
        loop {
            let operator = match self.peek() {
                Token::Sign('+') => Operator::Add,
                Token::Sign('-') => Operator::Subtract,
                _ => return Ok(left),
            };
            self.advance();
            left = binary(operator, left, self.product()?);
        }
    }

    fn product(&mut self) -> Result<Expr, SyntaxError> {
        let mut left = self.signed()?;
        loop {
            let operator = match self.peek() {
                Token::Sign('*') => Operator::Multiply,
                Token::Sign('/') => Operator::Divide,
                _ => return Ok(left),
            };
            self.advance();
            left = binary(operator, left, self.signed()?);
        }
    }

    fn signed(&mut self) -> Result<Expr, SyntaxError> {
        let mut is_negative = false;
        while self.eat('-') {
            is_negative = !is_negative;
        }
        let power = self.power()?;
        Ok(match is_negative {
            true => Expr::Negate(Box::new(power)),
            false => power,
        })
    }

    /// `a ^ b ^ c` is `a ^ (b ^ c)`.
    fn power(&mut self) -> Result<Expr, SyntaxError> {
        let base = self.atom()?;
        if !self.eat('^') {
            return Ok(base);
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.fail("this is nested too deep");
        }
        let exponent = self.signed()?;
        self.depth -= 1;
        Ok(binary(Operator::Power, base, exponent))
    }

    fn atom(&mut self) -> Result<Expr, SyntaxError> {
        let column = self.column();
        match self.peek().clone() {
            Token::Number(number) => {
                self.at += 1;
                Ok(Expr::Number(number))
            }
            Token::Sign('(') => {
                self.at += 1;
                let inner = self.expression()?;
                self.expect(')')?;
                Ok(inner)
            }
            Token::Name(name) => self.name(name, column),
            _ => self.fail("a number, a name or `(` was expected here"),
        }
    }

    fn name(&mut self, name: String, column: usize) -> Result<Expr, SyntaxError> {
        let parameter = self.parameters.iter().position(|it| *it == name);
        if let Some(parameter) = parameter {
            self.at += 1;
            return Ok(Expr::Parameter(parameter));
        }
        if self.tokens[self.at + 1].1 != Token::Sign('(') {
            return self.fail(format!("{name} is no parameter; a call is {name}(...)"));
        }
        self.at += 2;
        let mut arguments = Vec::new();
        while !self.eat(')') {
            arguments.push(self.expression()?);
            if !self.eat(',') && *self.peek() != Token::Sign(')') {
                return self.fail("`,` or `)` was expected here");
            }
        }
        Ok(Expr::Call(Call {
            name,
            arguments,
            column,
        }))
    }
}

fn binary(operator: Operator, left: Expr, right: Expr) -> Expr {
    Expr::Binary(operator, Box::new(left), Box::new(right))
}
