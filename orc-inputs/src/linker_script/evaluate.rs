//! What an expression comes to.

use super::expression::{Binary, Expression, Unary};

/// What an expression is computed from.
pub trait Values {
    /// The value of a symbol.
    ///
    /// # Errors
    /// Why it has none.
    fn symbol(&mut self, name: &str) -> Result<u64, String>;

    /// Whether something defines a symbol.
    fn is_defined(&mut self, name: &str) -> bool;

    /// The start or the end of a section of the output.
    ///
    /// # Errors
    /// When there is no such section.
    fn section(&mut self, name: &str, end: bool) -> Result<u64, String>;
}

impl Expression {
    /// The value, of 64 bits without a sign. Division and remainder are signed, as in GNU ld.
    ///
    /// # Errors
    /// When a symbol has no value, a number is divided by zero, or an assertion does not hold.
    pub fn evaluate(&self, values: &mut dyn Values) -> Result<u64, String> {
        Ok(match self {
            Self::Number(number) => *number,
            Self::Symbol(name) => values.symbol(name)?,
            Self::Defined(name) => u64::from(values.is_defined(name)),
            Self::SectionStart(name) => values.section(name, false)?,
            Self::SectionEnd(name) => values.section(name, true)?,
            Self::Unary(operator, operand) => operator.apply(operand.evaluate(values)?),
            Self::Binary(operator, left, right) => {
                let left = left.evaluate(values)?;
                match (operator, left) {
                    (Binary::AndThen, 0) => 0,
                    (Binary::OrElse, 1..) => 1,
                    _ => operator.apply(left, right.evaluate(values)?)?,
                }
            }
            Self::Conditional(parts) => {
                let [condition, then, otherwise] = &**parts;
                match condition.evaluate(values)? {
                    0 => otherwise.evaluate(values)?,
                    _ => then.evaluate(values)?,
                }
            }
            Self::Assert(condition, message) => match condition.evaluate(values)? {
                0 => return Err(format!("assertion failed: {message}")),
                value => value,
            },
        })
    }

    /// Calls `each` with every symbol, and whether the value needs it: `DEFINED` does not, nor does
    /// what may be left out.
    pub fn for_each_symbol<'a>(&'a self, needed: bool, each: &mut dyn FnMut(Use<'a>, bool)) {
        match self {
            Self::Number(_) => {}
            Self::Symbol(name) => each(Use::Symbol(name), needed),
            Self::Defined(name) => each(Use::Symbol(name), false),
            Self::SectionStart(name) => each(Use::SectionStart(name), needed),
            Self::SectionEnd(name) => each(Use::SectionEnd(name), needed),
            Self::Unary(_, operand) | Self::Assert(operand, _) => {
                operand.for_each_symbol(needed, each);
            }
            Self::Binary(operator, left, right) => {
                let lazy = matches!(operator, Binary::AndThen | Binary::OrElse);
                left.for_each_symbol(needed, each);
                right.for_each_symbol(needed && !lazy, each);
            }
            Self::Conditional(parts) => {
                parts[0].for_each_symbol(needed, each);
                parts[1].for_each_symbol(false, each);
                parts[2].for_each_symbol(false, each);
            }
        }
    }
}

/// What an expression refers to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Use<'a> {
    /// A symbol, by its value or whether it is defined.
    Symbol(&'a str),
    /// Where a section of the output begins.
    SectionStart(&'a str),
    /// Where a section of the output ends.
    SectionEnd(&'a str),
}

impl Unary {
    fn apply(self, value: u64) -> u64 {
        match self {
            Self::Negate => value.wrapping_neg(),
            Self::Complement => !value,
            Self::Not => u64::from(value == 0),
            Self::Log2Ceil => match value {
                0 | 1 => 0,
                _ => u64::from(64 - (value - 1).leading_zeros()),
            },
        }
    }
}

impl Binary {
    fn apply(self, a: u64, b: u64) -> Result<u64, String> {
        let (signed_a, signed_b) = (a.cast_signed(), b.cast_signed());
        let shift = |shifted: Option<u64>| shifted.unwrap_or(0);
        let bits = u32::try_from(b).unwrap_or(u32::MAX);
        Ok(match self {
            Self::Multiply => a.wrapping_mul(b),
            Self::Divide if b == 0 => return Err("division by zero".to_owned()),
            Self::Remainder if b == 0 => return Err("remainder of a division by zero".to_owned()),
            Self::Divide => signed_a.wrapping_div(signed_b).cast_unsigned(),
            Self::Remainder => signed_a.wrapping_rem(signed_b).cast_unsigned(),
            Self::Add => a.wrapping_add(b),
            Self::Subtract => a.wrapping_sub(b),
            Self::ShiftLeft => shift(a.checked_shl(bits)),
            Self::ShiftRight => shift(a.checked_shr(bits)),
            Self::Equal => u64::from(a == b),
            Self::NotEqual => u64::from(a != b),
            Self::Less => u64::from(a < b),
            Self::Greater => u64::from(a > b),
            Self::LessOrEqual => u64::from(a <= b),
            Self::GreaterOrEqual => u64::from(a >= b),
            Self::And => a & b,
            Self::Xor => a ^ b,
            Self::Or => a | b,
            Self::AndThen => u64::from(a != 0 && b != 0),
            Self::OrElse => u64::from(a != 0 || b != 0),
            Self::Align if b <= 1 => a,
            Self::Align => match a % b {
                0 => a,
                rest => a.wrapping_add(b - rest),
            },
            Self::Min => a.min(b),
            Self::Max => a.max(b),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::expression::parse;
    use super::super::lexer::Lexer;
    use super::*;

    /// `a` is 0x1000, `b` is 0x1008; `.data` lies from 0x2000 to 0x2040.
    struct Fixture;

    impl Values for Fixture {
        fn symbol(&mut self, name: &str) -> Result<u64, String> {
            match name {
                "a" => Ok(0x1000),
                "b" => Ok(0x1008),
                _ => Err(format!("no {name}")),
            }
        }

        fn is_defined(&mut self, name: &str) -> bool {
            self.symbol(name).is_ok()
        }

        fn section(&mut self, name: &str, end: bool) -> Result<u64, String> {
            match name {
                ".data" => Ok(if end { 0x2040 } else { 0x2000 }),
                _ => Err(format!("no {name}")),
            }
        }
    }

    fn value(text: &str) -> Result<u64, String> {
        let mut lexer = Lexer::new(text);
        let expression = parse(&mut lexer)?;
        assert_eq!(lexer.rest().trim(), "", "{text}");
        expression.evaluate(&mut Fixture)
    }

    #[test]
    fn operators() {
        let minus = |n: u64| n.wrapping_neg();
        let all = [
            ("1+2*3", 7),
            ("(1+2)*3", 9),
            ("10-4-3", 3),
            ("1<<3|5&~1", 12),
            ("-1", minus(1)),
            ("7-9", minus(2)),
            ("-8/2", minus(4)),
            ("-7%4", minus(3)),
            ("-1<1", 0),
            ("-8>>1", minus(8) >> 1),
            ("1<<64", 0),
            ("!5", 0),
            ("!0+1", 2),
            ("--8", 8),
            ("+8", 8),
            ("2>1&&1", 1),
            ("0||0", 0),
            ("1==1", 1),
            ("1!=1", 0),
            ("6^3", 5),
            ("1?2:3?4:5", 2),
            ("0?2:0?4:5", 5),
            ("1||1/0", 1),
            ("0&&1/0", 0),
            ("1?2:1/0", 2),
        ];
        for (text, expected) in all {
            assert_eq!(value(text), Ok(expected), "{text}");
        }
        assert_eq!(value("5/0"), Err("division by zero".to_owned()));
        assert!(value("5%0").is_err());
        // i64::MIN / -1
        assert_eq!(value("(1<<63)/-1"), Ok(1 << 63));
    }

    #[test]
    fn symbols_and_functions() {
        let all = [
            ("a+8", 0x1008),
            ("b - a", 8),
            ("(a|1)&~0xf", 0x1000),
            ("ABSOLUTE(a)", 0x1000),
            ("ADDR(.data)", 0x2000),
            ("LOADADDR(.data)", 0x2000),
            ("SIZEOF(.data)", 0x40),
            ("ALIGN(b, 16)", 0x1010),
            ("ALIGN(a, 16)", 0x1000),
            ("MAX(3, 4)+MIN(1,2)", 5),
            ("MAX(3, -1)", u64::MAX),
            ("LOG2CEIL(9)", 4),
            ("LOG2CEIL(8)", 3),
            ("LOG2CEIL(0)", 0),
            ("CONSTANT(MAXPAGESIZE)", 4096),
            ("SEGMENT_START(\"text\", 0x33)", 0x33),
            ("DEFINED(a) ? a : 5", 0x1000),
            ("DEFINED(c) ? c : 5", 5),
            ("ASSERT(a == 0x1000, \"moved\")", 1),
            ("\"a\"", 0x1000),
        ];
        for (text, expected) in all {
            assert_eq!(value(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_refused_is_named() {
        let all = [
            ("c+1", "no c"),
            ("SIZEOF(.nope)", "no .nope"),
            ("ASSERT(a == 1, \"moved\")", "assertion failed: moved"),
            (".", "lay nothing out"),
            ("ALIGN(16)", "ALIGN(value, alignment)"),
            ("SIZEOF_HEADERS", "none is written"),
            ("ORIGIN(rom)", "about a layout"),
            ("FOO(1)", "no function"),
            ("CONSTANT(X)", "CONSTANT(X)"),
            ("1+", "ends too early"),
            ("(1", "ends too early"),
            ("(1;", "expected `)`"),
            ("*", "found `*`"),
            ("08", "no number"),
            ("MAX(1)", "two values"),
        ];
        for (text, part) in all {
            let error = value(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
