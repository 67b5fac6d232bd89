#!/bin/sh
# Read `nm -n` of the kernel, write its table of function symbols as assembly:
#   u32 count; u32 offset[count] (from the first symbol); u64 base; then the
#   names, each ended by a zero byte, in the order of the offsets.
# The reader is kernel/trace/symbols.c.
awk '
BEGIN { n = 0 }
$2 ~ /^[tT]$/ && $3 !~ /^(\$|\.L|__pfx)/ { addr[n] = $1; name[n] = $3; n++ }
END {
    print ".section .symtab_blob,\"a\""
    print ".balign 8"
    print ".globl symbol_table"
    print "symbol_table:"
    print ".quad 0x" addr[0]
    print ".long " n
    for (i = 0; i < n; i++) print ".long 0x" addr[i] " - 0x" addr[0]
    for (i = 0; i < n; i++) print ".asciz \"" name[i] "\""
    print ".section .note.GNU-stack,\"\",@progbits"
}'
