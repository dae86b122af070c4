# make.sh FILE SECTION...: an object with two initializers (or finalizers) in each of the sections, in this order.
out=$1; shift
{
    n=0
    for section; do
        case $section in
        .init_array*) type=@init_array ;;
        .fini_array*) type=@fini_array ;;
        *) type=@progbits ;;
        esac
        for i in 1 2; do
            n=$((n + 1))
            printf '.text\nf%d: mov $%d, %%edi\njmp note\n.section %s,"aw",%s\n.balign 8\n.quad f%d\n' \
                $n $((BASE + n)) "$section" $type $n
        done
    done
    printf '.section .note.GNU-stack,"",@progbits\n'
} > "$out.s"
$CC -c "$out.s"
