//! What each chapter of the tutorial promises.

use std::sync::atomic::{AtomicBool, Ordering};

use calc::calculator::{Answer, Calculator, Place};
use calc::here::Here;
use calc::lazy::Lazy;
use calc::live::{Live, OFTEN};
use calc::syntax::{Expr, Function, Statement, parse};

fn expression(line: &str) -> Expr {
    match parse(line).unwrap() {
        Statement::Evaluate(expression) => expression,
        Statement::Define(_) => panic!("{line} is a definition"),
    }
}

fn function(line: &str) -> Function {
    match parse(line).unwrap() {
        Statement::Define(function) => function,
        Statement::Evaluate(_) => panic!("{line} is an expression"),
    }
}

#[test]
fn chapter_1_expressions_have_values() {
    let calculator = Here::new(false).unwrap();
    let value = |line| calculator.evaluate(&expression(line)).unwrap();
    assert_eq!(value("1 + 2 * 3"), 7.0);
    assert_eq!(value("-(2 - 10) / 4"), 2.0);
    assert_eq!(value("if 1 < 2 then 10 else 20"), 10.0);
    assert_eq!(value("2 ^ 3 ^ 2"), 512.0);
    assert_eq!(value("-2 ^ 2"), -4.0);
    assert_eq!(value("1 == 2"), 0.0);
}

#[test]
fn chapter_2_functions_call_each_other_the_library_and_the_host() {
    let calculator = Here::new(true).unwrap();
    let define = |line| calculator.define(&function(line)).unwrap();
    define("square(x) = x * x");
    define("length(x, y) = sqrt(square(x) + square(y))");
    define("fact(n) = if n < 2 then 1 else n * fact(n - 1)");
    let value = |line| calculator.evaluate(&expression(line)).unwrap();
    assert_eq!(value("length(3, 4)"), 5.0);
    assert_eq!(value("fact(10)"), 3_628_800.0);
    assert_eq!(value("show(1) + show(2)"), 3.0);
    let missing = calculator.evaluate(&expression("cube(2)")).unwrap_err();
    assert!(missing.to_string().contains("calc.cube.1"), "{missing}");
    // It goes on after an error.
    assert_eq!(value("square(5)"), 25.0);
}

#[test]
fn chapter_3_only_what_is_called_is_compiled() {
    let calculator = Lazy::new().unwrap();
    let define = |line| calculator.define(&function(line)).unwrap();
    define("choose(x) = if x < 0 then left(x) else right(x)");
    define("left(x) = -x");
    define("right(x) = x + 1");
    let value = |line| calculator.evaluate(&expression(line)).unwrap();
    assert!(calculator.compiled().is_empty());
    assert_eq!(value("choose(1)"), 2.0);
    assert_eq!(calculator.compiled(), ["choose", "right"]);
    assert_eq!(value("choose(2)"), 3.0);
    assert_eq!(calculator.compiled(), ["choose", "right"]);
    assert_eq!(value("choose(-5)"), 5.0);
    assert_eq!(calculator.compiled(), ["choose", "right", "left"]);
}

#[test]
fn chapter_4_functions_get_new_bodies_while_threads_call_them() {
    let mut calculator = Live::new().unwrap();
    calculator.define(&function("rate(x) = x * 2")).unwrap();
    calculator
        .define(&function("price(x) = rate(x) + 1"))
        .unwrap();
    let price = calculator.function("price").unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let value = price.call(10.0);
                assert!(value == 21.0 || value == 31.0, "{value}");
            }
        });
        for n in 0..50 {
            let body = ["rate(x) = x * 3", "rate(x) = x * 2"][n % 2];
            calculator.define(&function(body)).unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(price.call(10.0), 21.0);
    // A body that cannot be linked changes nothing.
    assert!(calculator.define(&function("rate(x) = lost(x)")).is_err());
    assert_eq!(price.call(10.0), 21.0);
}

#[test]
fn chapter_4_functions_that_are_called_often_get_better() {
    let calculator = Live::new().unwrap();
    let power = function("power(x) = x * x * x");
    let tiers = calculator.define_in_tiers(&power).unwrap();
    let power = calculator.function("power").unwrap();
    for _ in 1..OFTEN {
        assert_eq!(power.call(3.0), 27.0);
    }
    assert_eq!(tiers.version(), 0);
    assert_eq!(power.call(3.0), 27.0);
    assert_eq!(tiers.version(), 1);
    assert_eq!(power.call(3.0), 27.0);
}

#[test]
fn chapter_5_the_calculator_survives_what_it_runs() {
    let mut calculator = Calculator::new(Place::Spawned).unwrap();
    let mut enter = |line| calculator.enter(line);
    enter("square(x) = x ^ 2").unwrap();
    assert_eq!(enter("square(7)").unwrap(), Answer::Value(49.0));
    // A function without an end runs out of stack, and ends its process.
    enter("forever(x) = 1 + forever(x + 1)").unwrap();
    let ended = enter("forever(1)").unwrap_err().to_string();
    assert!(ended.contains("A new process has all functions"), "{ended}");
    assert_eq!(enter("square(8)").unwrap(), Answer::Value(64.0));
    enter("square(x) = x ^ 2 + 1").unwrap();
    assert_eq!(enter("square(8)").unwrap(), Answer::Value(65.0));
}

#[test]
fn definitions_are_taken_back() {
    for place in [Place::Here, Place::Spawned] {
        let mut calculator = Calculator::new(place).unwrap();
        calculator.enter("f(x) = x + 1").unwrap();
        calculator.enter("g(x) = f(x) * 10").unwrap();
        calculator.enter("f(x) = x + 2").unwrap();
        assert_eq!(calculator.enter("g(1)").unwrap(), Answer::Value(30.0));
        assert_eq!(calculator.undo().unwrap().as_deref(), Some("f(x)"));
        assert_eq!(calculator.enter("g(1)").unwrap(), Answer::Value(20.0));
        calculator.undo().unwrap();
        let missing = calculator.enter("g(1)").unwrap_err().to_string();
        assert_eq!(missing, "column 1: no function is called g");
        calculator.undo().unwrap();
        assert_eq!(calculator.undo().unwrap(), None);
        calculator.enter("f(x) = x").unwrap();
        assert_eq!(calculator.enter("f(1)").unwrap(), Answer::Value(1.0));
    }
}

#[test]
fn the_longest_line_has_a_value() {
    let long = "1 + ".repeat(499) + "1";
    for place in [Place::Here, Place::Spawned] {
        let mut calculator = Calculator::new(place).unwrap();
        assert_eq!(calculator.enter(&long).unwrap(), Answer::Value(500.0));
    }
}

#[test]
fn errors_say_the_column() {
    let mut calculator = Calculator::new(Place::Here).unwrap();
    calculator.enter("f(x) = x").unwrap();
    let deep = "(".repeat(500);
    let long = "1 + ".repeat(100_000);
    let rows = [
        ("1 +", "column 4: a number, a name or `(` was expected here"),
        ("1 $ 2", "column 3: the language has no '$'"),
        ("1.2.3", "column 1: 1.2.3 is no number"),
        (
            "g(x) = x + y",
            "column 12: y is no parameter; a call is y(...)",
        ),
        ("1 + f(1, 2)", "column 5: f takes 1, not 2"),
        ("2 * h(1)", "column 5: no function is called h"),
        ("(1", "column 3: ')' was expected here"),
        (
            "1 2",
            "column 3: an operator or the end of the line was expected here",
        ),
        ("if 1 then 2", "column 12: `else` was expected here"),
        (" sin(x) = x", "column 2: sin is a function of the library"),
        ("if(x) = x", "column 1: if is a word of the language"),
        ("g(then) = 1", "column 3: then is a word of the language"),
        (
            "g(x, y, x) = x",
            "column 9: there are two parameters called x",
        ),
        (
            "\u{3000}cos(x) = x",
            "column 2: cos is a function of the library",
        ),
        (deep.as_str(), "column 201: this is nested too deep"),
        (
            long.as_str(),
            "column 2001: a line has at most 1000 numbers, names and signs",
        ),
    ];
    for (line, message) in rows {
        assert_eq!(calculator.enter(line).unwrap_err().to_string(), message);
    }
}
