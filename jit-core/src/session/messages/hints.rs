//! What a missing name says of the cause.

/// The start of names, and the option of compilers that brings what defines them.
const OPTIONS: &[(&str, &str)] = &[
    ("__asan_", "-fsanitize=address"),
    ("__hwasan_", "-fsanitize=hwaddress"),
    ("__lsan_", "-fsanitize=leak"),
    ("__msan_", "-fsanitize=memory"),
    ("__tsan_", "-fsanitize=thread"),
    ("__ubsan_", "-fsanitize=undefined"),
    ("__safestack_", "-fsanitize=safe-stack"),
    ("__sanitizer_cov_", "-fsanitize=fuzzer"),
    ("__gcov_", "--coverage"),
    ("__llvm_profile_", "-fprofile-instr-generate"),
    ("__kmpc_", "-fopenmp"),
    ("GOMP_", "-fopenmp"),
    ("_gfortran_", "-lgfortran"),
    ("__objc_", "-lobjc"),
    ("objc_", "-lobjc"),
];

/// Starts of the names of what the compiler emits once per class: the virtual table and the type's
/// information.
const OF_CLASSES: &[(&str, &str)] = &[
    ("_ZTV", "the virtual table"),
    ("_ZTI", "the type's information"),
    ("_ZTT", "the table of virtual tables"),
];

/// What to do about a missing name, where the name tells.
pub(in crate::session) fn hint(name: &[u8]) -> Option<String> {
    let begins = |(start, _): &&(&str, &str)| name.starts_with(start.as_bytes());
    if let Some((_, option)) = OPTIONS.iter().find(begins) {
        return Some(format!(
            "objects that were compiled for it are linked with {option}, too"
        ));
    }
    let (_, what) = OF_CLASSES.iter().find(begins)?;
    Some(format!(
        "{what} is in the object that defines the class's key function, the first virtual function \
         that is neither inline nor pure: is that function defined, and its object among the inputs?"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_hints() {
        let check = |name: &str, part: &str| {
            let hint = hint(name.as_bytes()).unwrap_or_default();
            assert!(hint.contains(part), "{name}: {hint}");
        };
        check("__asan_report_load4", "-fsanitize=address");
        check("__ubsan_handle_add_overflow", "-fsanitize=undefined");
        check("GOMP_parallel", "-fopenmp");
        check("_ZTV5Shape", "key function");
        assert_eq!(hint(b"main"), None);
        assert_eq!(hint(b"_ZTS5Shape"), None);
    }
}
