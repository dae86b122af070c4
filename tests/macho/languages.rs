//! What Objective-C's runtime is told of, at the boundary to the process: a function that stands for the runtime is told of
//! the sections of each object, in the order in which the objects are linked. Nothing of Objective-C runs.

use std::path::Path;
use std::sync::Arc;

use jit_core::object::Claims;
use orc_inputs::input::OwnedBytes;
use orc_inputs::wrapped::WrappedNames;
use orc_jit::{Executor, Jit, ObjectFile};
use platform_macho::object::MachObject;
use platform_macho::platform::{Host, Languages, Sections, linux};
use tests::compare::orc_jit;
use tests::toolchain::compilers;

use super::inputs::{refusal, write};
use super::run;

/// A process with a runtime.
static WITH_RUNTIME: Host = Host {
    sections: Sections {
        code: ".text",
        constants: ".rodata",
        relocated_constants: ".data.rel.ro",
        data: ".data",
        zeros: ".bss",
        thread_data: ".tdata",
        thread_zeros: ".tbss",
        initializers: ".init_array",
        finalizers: ".fini_array",
        frames: ".eh_frame",
        exception_tables: ".gcc_except_table",
    },
    meaning: linux::meaning,
    stands_for: linux::stands_for,
    languages: Languages::Registered("told_of_object"),
};

const FIRST: &str = "
    __attribute__((objc_root_class)) @interface Base { Class isa; int own; } -(int)value; @end
    @protocol P -(int)other; @end
    @interface Thing : Base <P> @end
    @implementation Base -(int)value { return own; } @end
    @implementation Thing -(int)other { return [self value] + 1; } @end
    @interface Base (More) -(int)more; @end
    @implementation Base (More) -(int)more { return 3; } @end
    int told(void);
    int told_before;
    __attribute__((constructor)) static void begin(void) { told_before = told(); }
";

const SECOND: &str = "
    __attribute__((objc_root_class)) @interface Base { Class isa; } -(int)value; @end
    @interface Later : Base @end
    @implementation Later -(int)value { return 9; } @end
";

/// Stands for the runtime, and says whether it was told of everything.
const DOUBLE: &str = r#"
    #include <stdint.h>
    #include <string.h>
    struct object {
        const void *dylib; uint64_t count;
        struct { const char *name; void **start; uint64_t size; } sections[];
    };
    extern const char __dso_handle[];
    extern char first_class[] __asm__("OBJC_CLASS_$_Base"), second_class[] __asm__("OBJC_CLASS_$_Thing"),
        later_class[] __asm__("OBJC_CLASS_$_Later");
    extern int told_before;
    char _objc_empty_cache[16];
    void objc_msgSend(void) {} void objc_retain(void) {} void objc_release(void) {}
    static const struct object *objects[8];
    static int count;
    int told(void) { return count; }
    void told_of_object(const struct object *object) { if (count < 8) objects[count++] = object; }
    static void **find(int object, const char *name, uint64_t size) {
        for (uint64_t i = 0; i < objects[object]->count; i++)
            if (!strcmp(objects[object]->sections[i].name, name) && objects[object]->sections[i].size == size)
                return objects[object]->sections[i].start;
        return 0;
    }
    int main(void) {
        if (count != 2 || told_before < 1) return 1;
        for (int i = 0; i < 2; i++) if (objects[i]->dylib != __dso_handle) return 2;
        void **classes = find(0, "__objc_classlist", 16);
        if (!classes || classes[0] != first_class || classes[1] != second_class) return 3;
        if (!find(0, "__objc_catlist", 8) || !find(0, "__objc_protolist", 8)) return 4;
        const char ***selectors = (const char ***)find(0, "__objc_selrefs", 8);
        if (!selectors || strcmp((const char *)selectors[0], "value")) return 5;
        selectors[0] = 0; // A runtime changes it.
        uint32_t *image = (uint32_t *)find(0, "__objc_imageinfo", 8);
        if (!image || image[0] != 0 || !(image[1] & 0x40)) return 6;
        classes = find(1, "__objc_classlist", 8);
        if (!classes || classes[0] != later_class || find(1, "__objc_catlist", 8)) return 7;
        return 42;
    }
"#;

/// Compiles two objects with classes, and links them with what stands for the runtime.
pub fn languages(directory: &Path) {
    write(
        directory,
        &[
            ("first.m", FIRST),
            ("second.m", SECOND),
            ("double.c", DOUBLE),
        ],
    );
    for target in ["x86_64-apple-macos11", "arm64-apple-macos11"] {
        for name in ["first", "second"] {
            let cpu = target.split('-').next().unwrap_or_default();
            let (source, object) = (format!("{name}.m"), format!("{name}-{cpu}.o"));
            let words = [
                "-target",
                target,
                "-fobjc-arc",
                "-O1",
                "-c",
                &source,
                "-o",
                &object,
            ];
            run(directory, Path::new("clang-22"), &words);
        }
    }
    run(directory, &compilers()[0].cc, &["-c", "double.c"]);
    let executor = Executor::spawn().expect("an executor");
    let jit = Jit::builder()
        .executor(executor)
        .build()
        .expect("a session");
    let dylib = jit.dylib("program").expect("a dylib");
    dylib
        .add_object_file(directory.join("double.o"))
        .expect("an object");
    let object = |name: &str| -> Arc<dyn ObjectFile> {
        let bytes = std::fs::read(directory.join(name)).expect("it was compiled");
        let input = Arc::new(OwnedBytes::from(bytes));
        let names = jit.objects().names().clone();
        let wrapped = WrappedNames::default();
        let object = MachObject::new(name, input, &names, &wrapped, &WITH_RUNTIME);
        Arc::new(object.expect("an object"))
    };
    let objects = ["first-x86_64.o", "second-x86_64.o"].map(object);
    dylib.add_objects(objects).expect("they fit together");
    dylib.symbol("OBJC_CLASS_$_Later").expect("it is linked");
    let status = dylib.run_main(["program"]).expect("it runs");
    assert_eq!(status, 42, "double.c says what is wrong");
    // The same for arm64 are read; and no process of this system has a runtime.
    for object in ["first-arm64.o", "second-arm64.o"].map(object) {
        object.build_graph(&Claims::default()).expect("a graph");
    }
    orc_jit().expect("it was built");
    let said = refusal(
        directory,
        &["run", "double.o", "first-x86_64.o", "second-x86_64.o"],
    );
    let expected = "first-x86_64.o: the section __DATA,__objc_data belongs to Objective-C, whose runtime is not in \
                    this process";
    assert!(said.contains(expected), "{said}");
}
