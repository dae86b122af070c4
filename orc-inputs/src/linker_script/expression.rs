//! Expressions of linker scripts and `--defsym`, as GNU ld's manual lists them for assignments of
//! symbols: numbers, symbols, C's operators, and those functions that mean something without a layout
//! of one's own. Arithmetic is that of 64-bit addresses; division is signed.

use super::lexer::{Lexer, Place, unquote};

/// Parentheses and operators within each other; more is no expression that somebody wrote.
const DEPTH_MAX: u32 = 100;
/// Operators of one expression.
const OPERATORS_MAX: u32 = 1000;

/// An expression.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expression {
    /// A number, with its unit (`K`, `M`) multiplied in.
    Number(u64),
    /// `name`: the address of a symbol, or its number if it is absolute.
    Symbol(String),
    /// `DEFINED(name)`: one if something defines the symbol, else zero.
    Defined(String),
    /// Where a section of the output begins.
    SectionStart(String),
    /// Where a section of the output ends, as `ADDR(name) + SIZEOF(name)` would say.
    SectionEnd(String),
    /// An operator in front of its operand.
    Unary(Unary, Box<Expression>),
    /// An operator between two operands.
    Binary(Binary, Box<Expression>, Box<Expression>),
    /// `a ? b : c`.
    Conditional(Box<[Expression; 3]>),
    /// The first, which must not be zero; else the message is an error.
    Assert(Box<Expression>, String),
}

/// Operators in front of their operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unary {
    /// `-a`
    Negate,
    /// `~a`
    Complement,
    /// `!a`
    Not,
    /// `LOG2CEIL(a)`
    Log2Ceil,
}

/// Operators between two operands, and functions of two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "their names say what they are")]
pub enum Binary {
    Multiply,
    Divide,
    Remainder,
    Add,
    Subtract,
    ShiftLeft,
    ShiftRight,
    Equal,
    NotEqual,
    Less,
    Greater,
    LessOrEqual,
    GreaterOrEqual,
    And,
    Xor,
    Or,
    AndThen,
    OrElse,
    Align,
    Min,
    Max,
}

/// Operators by how tightly they bind, loosest first.
const BINARY: &[&[(&str, Binary)]] = &[
    &[("||", Binary::OrElse)],
    &[("&&", Binary::AndThen)],
    &[("|", Binary::Or)],
    &[("^", Binary::Xor)],
    &[("&", Binary::And)],
    &[("==", Binary::Equal), ("!=", Binary::NotEqual)],
    &[
        ("<", Binary::Less),
        (">", Binary::Greater),
        ("<=", Binary::LessOrEqual),
        (">=", Binary::GreaterOrEqual),
    ],
    &[("<<", Binary::ShiftLeft), (">>", Binary::ShiftRight)],
    &[("+", Binary::Add), ("-", Binary::Subtract)],
    &[
        ("*", Binary::Multiply),
        ("/", Binary::Divide),
        ("%", Binary::Remainder),
    ],
];

/// Functions that need what only a script that lays sections out has.
const LAYOUT_FUNCTIONS: &[&str] = &[
    "ALIGNOF",
    "BLOCK",
    "DATA_SEGMENT_ALIGN",
    "DATA_SEGMENT_END",
    "DATA_SEGMENT_RELRO_END",
    "LENGTH",
    "NEXT",
    "ORIGIN",
];

/// Reads an expression.
///
/// # Errors
/// With the word that does not belong there.
pub(super) fn parse(lexer: &mut Lexer<'_>) -> Result<Expression, String> {
    let mut parser = Parser {
        lexer: *lexer,
        depth: 0,
        operators: 0,
    };
    let expression = parser.conditional()?;
    *lexer = parser.lexer;
    Ok(expression)
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    depth: u32,
    operators: u32,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Result<Option<&'a str>, String> {
        self.lexer.peek(Place::Expression)
    }

    fn next(&mut self) -> Result<&'a str, String> {
        let word = self.lexer.next(Place::Expression)?;
        word.ok_or_else(|| "an expression ends too early".to_owned())
    }

    fn expect(&mut self, wanted: &str) -> Result<(), String> {
        match self.next()? {
            word if word == wanted => Ok(()),
            word => Err(format!("expected `{wanted}`, found `{word}`")),
        }
    }

    fn conditional(&mut self) -> Result<Expression, String> {
        self.deeper()?;
        let condition = self.binary(0)?;
        let expression = if self.peek()? == Some("?") {
            self.operator()?;
            let then = self.conditional()?;
            self.expect(":")?;
            let otherwise = self.conditional()?;
            Expression::Conditional(Box::new([condition, then, otherwise]))
        } else {
            condition
        };
        self.depth -= 1;
        Ok(expression)
    }

    fn deeper(&mut self) -> Result<(), String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("an expression is nested too deeply".to_owned());
        }
        Ok(())
    }

    /// Reads an operator.
    fn operator(&mut self) -> Result<(), String> {
        self.next()?;
        self.operators += 1;
        if self.operators > OPERATORS_MAX {
            return Err("an expression has too many operators".to_owned());
        }
        Ok(())
    }

    fn binary(&mut self, level: usize) -> Result<Expression, String> {
        let Some(operators) = BINARY.get(level) else {
            return self.unary();
        };
        let mut left = self.binary(level + 1)?;
        while let Some(word) = self.peek()?
            && let Some((_, operator)) = operators.iter().find(|(text, _)| *text == word)
        {
            self.operator()?;
            let right = self.binary(level + 1)?;
            left = Expression::Binary(*operator, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expression, String> {
        let operator = match self.peek()? {
            Some("-") => Some(Unary::Negate),
            Some("~") => Some(Unary::Complement),
            Some("!") => Some(Unary::Not),
            Some("+") => None,
            _ => return self.primary(),
        };
        self.operator()?;
        self.deeper()?;
        let operand = self.unary()?;
        self.depth -= 1;
        Ok(match operator {
            Some(operator) => Expression::Unary(operator, Box::new(operand)),
            None => operand,
        })
    }

    fn primary(&mut self) -> Result<Expression, String> {
        let word = self.next()?;
        if word == "(" {
            let inner = self.conditional()?;
            self.expect(")")?;
            return Ok(inner);
        }
        if word == "." {
            return Err(
                "`.` is a place in a layout, and scripts lay nothing out here: use a symbol"
                    .to_owned(),
            );
        }
        if word.starts_with('"') {
            return Ok(Expression::Symbol(unquote(word).to_owned()));
        }
        let first = word.chars().next().unwrap_or_default();
        if first.is_ascii_digit() || (first == '$' && is_hex(&word[1..])) {
            return number(word).map(Expression::Number);
        }
        if !(first.is_alphabetic() || "_.$".contains(first)) {
            return Err(format!("expected a number or a symbol, found `{word}`"));
        }
        if self.peek()? == Some("(") {
            self.next()?;
            let value = self.function(word)?;
            self.expect(")")?;
            return Ok(value);
        }
        if word == "SIZEOF_HEADERS" || word == "sizeof_headers" {
            return Err(format!("{word} is of a file, and none is written here"));
        }
        Ok(Expression::Symbol(word.to_owned()))
    }

    /// What a function stands for, up to its closing parenthesis.
    fn function(&mut self, name: &str) -> Result<Expression, String> {
        let two = |operator, a, b| Expression::Binary(operator, Box::new(a), Box::new(b));
        match name {
            "ABSOLUTE" => self.conditional(),
            "ADDR" | "LOADADDR" => Ok(Expression::SectionStart(self.name()?)),
            "SIZEOF" => {
                let section = self.name()?;
                let end = Expression::SectionEnd(section.clone());
                Ok(two(
                    Binary::Subtract,
                    end,
                    Expression::SectionStart(section),
                ))
            }
            "DEFINED" => Ok(Expression::Defined(self.name()?)),
            "LOG2CEIL" => {
                let of = self.conditional()?;
                Ok(Expression::Unary(Unary::Log2Ceil, Box::new(of)))
            }
            "CONSTANT" => match self.name()?.as_str() {
                "MAXPAGESIZE" | "COMMONPAGESIZE" => Ok(Expression::Number(4096)),
                other => Err(format!("CONSTANT({other}) is unknown")),
            },
            "SEGMENT_START" => {
                // No option moves a segment here, so each is where the script says.
                self.name()?;
                self.expect(",")?;
                self.conditional()
            }
            "ASSERT" => {
                let condition = self.conditional()?;
                self.expect(",")?;
                let message = self.name()?;
                Ok(Expression::Assert(Box::new(condition), message))
            }
            "MIN" | "MAX" | "ALIGN" => {
                let first = self.conditional()?;
                if self.peek()? != Some(",") {
                    return Err(match name {
                        "ALIGN" => "ALIGN of one value rounds a place in a layout up, and scripts \
                                    lay nothing out here: use ALIGN(value, alignment)"
                            .to_owned(),
                        _ => format!("{name} needs two values"),
                    });
                }
                self.next()?;
                let second = self.conditional()?;
                let operator = match name {
                    "MIN" => Binary::Min,
                    "MAX" => Binary::Max,
                    _ => Binary::Align,
                };
                Ok(two(operator, first, second))
            }
            _ if LAYOUT_FUNCTIONS.contains(&name) => Err(format!(
                "{name} is about a layout, and scripts lay nothing out here"
            )),
            _ => Err(format!("`{name}` is no function of linker scripts")),
        }
    }

    fn name(&mut self) -> Result<String, String> {
        let word = self.next()?;
        if "(),;{}".contains(word) {
            return Err(format!("expected a name, found `{word}`"));
        }
        Ok(unquote(word).to_owned())
    }
}

fn is_hex(digits: &str) -> bool {
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit())
}

/// A number as GNU ld writes them: C's, hexadecimal after `$`, with a suffix for the base (`1fh`,
/// `17o`, `101b`, `42d`) or for a factor (`4K`, `2M`).
pub(super) fn number(text: &str) -> Result<u64, String> {
    let bad = || format!("`{text}` is no number");
    let too_large = || format!("`{text}` does not fit 64 bits");
    let lower = text.to_ascii_lowercase();
    let (digits, base) = if let Some(hex) = lower.strip_prefix("0x").or(lower.strip_prefix('$')) {
        (hex, 16)
    } else {
        let (digits, last) = lower.split_at(lower.len() - 1);
        match last {
            "h" | "x" => (digits, 16),
            "o" => (digits, 8),
            "b" => (digits, 2),
            "d" => (digits, 10),
            _ if lower.len() > 1 && lower.starts_with('0') => (&lower[1..], 8),
            _ => (&lower[..], 10),
        }
    };
    let (digits, factor) = match digits.strip_suffix('k') {
        Some(digits) => (digits, 1 << 10),
        None => match digits.strip_suffix('m') {
            Some(digits) => (digits, 1 << 20),
            None => (digits, 1),
        },
    };
    if digits.is_empty() && base == 8 {
        // `0K`
        return Ok(0);
    }
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(base)) {
        return Err(bad());
    }
    let value = u64::from_str_radix(digits, base).map_err(|_| too_large())?;
    value.checked_mul(factor).ok_or_else(too_large)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let all = [
            ("0", 0),
            ("42", 42),
            ("0777", 511),
            ("010", 8),
            ("0x1F", 31),
            ("$1f", 31),
            ("1fh", 31),
            ("12X", 18),
            ("101b", 5),
            ("17o", 15),
            ("17d", 17),
            ("10K", 10240),
            ("2m", 2 << 20),
            ("0x1fM", 31 << 20),
            ("0k", 0),
            ("18446744073709551615", u64::MAX),
        ];
        for (text, value) in all {
            assert_eq!(number(text), Ok(value), "{text}");
        }
        for text in ["08", "1f", "0x", "0x1g", "12q", "0x10h", "2b", "1KM"] {
            assert_eq!(number(text), Err(format!("`{text}` is no number")));
        }
        assert!(number("99999999999999999999").is_err());
        assert!(number("18014398509481984K").is_err());
    }

    #[test]
    fn nothing_is_too_deep_for_the_stack() {
        for text in [
            "(".repeat(100_000),
            "-".repeat(100_000),
            "1?".repeat(100_000),
            "1+".repeat(100_000),
        ] {
            assert!(parse(&mut Lexer::new(&text)).is_err());
        }
    }
}
