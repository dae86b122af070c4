use jit_core::graph::{ComputedRange, Target};
use jit_core::name::NameTable;
use jit_core::object::{Claims, ComputationInput, Linkage};

use super::*;
use orc_inputs::linker_script;

fn assigned(text: &str, names: &NameTable) -> Result<Assigned, ObjectError> {
    let script = linker_script::parse(text, "s.ld").expect("a script");
    assign(script.names.assignments, names, &WrappedNames::default())
}

/// What a script defines, with `base` at 0x1000, `other` at 0x1040, and nothing else.
fn values(text: &str) -> Result<Vec<(String, u64)>, String> {
    let names = NameTable::default();
    let assigned = assigned(text, &names).map_err(|error| error.to_string())?;
    let Some(object) = assigned.object else {
        return Ok(Vec::new());
    };
    let graph = object.build_graph(&Claims::default()).expect("a graph");
    let name = |symbol: u32| {
        graph.symbols[symbol as usize]
            .name
            .map(|name| names.text(name))
    };
    let input = |symbol: u32| match name(symbol).as_deref() {
        Some("base") => ComputationInput::Known(0x1000),
        Some("other") => ComputationInput::Known(0x1040),
        Some("local") => ComputationInput::Unusable("it is thread-local"),
        _ => ComputationInput::Undefined,
    };
    let computed = object.computation().expect("values").compute(&input)?;
    let named = computed.into_iter();
    Ok(named
        .map(|(symbol, value)| (name(symbol).unwrap_or_default(), value))
        .collect())
}

#[track_caller]
fn check(text: &str, expected: &[(&str, u64)]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|(n, v)| ((*n).to_owned(), *v))
        .collect();
    assert_eq!(values(text), Ok(expected), "{text}");
}

#[test]
fn assignments_hold_in_order() {
    check("a = 5; b = a + 1;", &[("a", 5), ("b", 6)]);
    check("a = b + 1; b = 5;", &[("a", 6), ("b", 5)]);
    check("a = 1; b = a; a = 2;", &[("b", 1), ("a", 2)]);
    check("a = 1; a += 4; a *= 2;", &[("a", 10)]);
    check("a = base + 8;", &[("a", 0x1008)]);
    check("size = other - base;", &[("size", 0x40)]);
    check("a = DEFINED(b) ? 1 : 2; b = 3;", &[("a", 2), ("b", 3)]);
    check("a = DEFINED(nowhere) ? nowhere : base;", &[("a", 0x1000)]);
}

#[test]
fn what_has_no_value_is_told() {
    let check = |text: &str, part: &str| {
        let error = values(text).expect_err(text);
        assert!(error.contains(part), "{text}: {error}");
    };
    check("a = a + 1;", "a is defined by itself");
    check("a = b + 1; b = a + 1;", "depends on itself");
    check("a = base / 0;", "division by zero");
    check("a = 1 + (0 ? 1 : nowhere);", "undefined symbol nowhere");
    check(
        "a = local + 1;",
        "local has no usable value: it is thread-local",
    );
    check(
        "ASSERT(base == 0, \"it is not there\")",
        "assertion failed: it is not there",
    );
    check("a = SIZEOF(.nowhere);", "no object has a section .nowhere");
}

#[test]
fn other_names_stay_names() {
    let names = NameTable::default();
    let Assigned {
        object, aliases, ..
    } = assigned("a = base; b = a; c = _end;", &names).expect("assignments");
    let text = |(alias, name): &(NameId, NameId)| (names.text(*alias), names.text(*name));
    let aliases: Vec<_> = aliases.iter().map(text).collect();
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(aliases, [pair("a", "base"), pair("b", "base")]);
    // The linker's own names are places: the object that defines them is none.
    let interface = object.expect("an object").interface().clone();
    let defined: Vec<_> = interface
        .definitions
        .iter()
        .map(|d| names.text(d.name))
        .collect();
    assert_eq!(defined, ["c"]);
    assert!(
        interface
            .definitions
            .iter()
            .all(|d| d.linkage == Linkage::Override)
    );
    assert_eq!(interface.references.len(), 2);
}

#[test]
fn what_is_provided_waits() {
    let names = NameTable::default();
    let assigned = assigned("PROVIDE(a = base + 1);", &names).expect("assignments");
    assert!(assigned.object.is_none() && assigned.aliases.is_empty());
    let object = provided(&assigned.provided[0], &names, &WrappedNames::default());
    let object = object.expect("an object");
    assert_eq!(object.interface().definitions[0].linkage, Linkage::Weak);
}

#[test]
fn kinds_of_values() {
    let range = |text: &str| {
        let names = NameTable::default();
        let object = assigned(text, &names)
            .expect("assignments")
            .object
            .expect("an object");
        let graph = object.build_graph(&Claims::default()).expect("a graph");
        match graph.symbols[0].target {
            Target::Computed { range, .. } => range,
            other => panic!("{text}: {other:?}"),
        }
    };
    use ComputedRange::{Any, Near, Small};
    for (text, expected) in [
        ("a = 5;", Small),
        ("a = 0x100000000;", Any),
        ("a = base + 5;", Near),
        ("a = 5 + base - 4;", Near),
        ("a = base - other;", Small),
        ("a = SIZEOF(.text);", Small),
        ("a = base == other;", Small),
        ("a = base * 2;", Any),
        ("a = base & ~15;", Near),
        ("a = 1 ? base : 5;", Any),
        ("a = -base;", Any),
    ] {
        assert_eq!(range(text), expected, "{text}");
    }
}

#[test]
fn long_chains_take_no_stack() {
    let step = |n: usize| format!("a{n} = a{} + 1;\n", n + 1);
    let text: String = (0..20_000).map(step).collect();
    let values = values(&format!("{text}a20000 = 0;")).expect("values");
    assert!(values.contains(&("a0".to_owned(), 20_000)));
}
