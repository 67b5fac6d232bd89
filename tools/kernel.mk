# How the kernel itself is compiled and linked. arch/ARCH/arch.mk has set
# CROSS, ARCH_CFLAGS, ARCH_LDFLAGS, UAPI_DIRS and may add to KERNEL_IMAGES.

ifeq ($(origin CC),default)
CC := gcc
endif
ifeq ($(CC),clang)
KCC := clang $(CLANG_TARGET)
else
KCC := $(CROSS)gcc
endif
Q := $(if $(V),,@)
say = $(if $(V),@:,@printf '  %-8s %s\n' "$(1)" "$(2)")

KERNEL_DIRS := $(wildcard kernel/*/ kernel/fs/*/) lib/ arch/$(ARCH)/
KERNEL_SRC  := $(sort $(wildcard $(addsuffix *.c,$(KERNEL_DIRS)) $(addsuffix *.S,$(KERNEL_DIRS))))
KERNEL_SRC  := $(filter-out $(KERNEL_SRC_EXCLUDE) %/offsets.c $(if $(DEBUG),,kernel/debug/%),$(KERNEL_SRC))
KERNEL_OBJ  := $(patsubst %,$(OUT)/%.o,$(basename $(KERNEL_SRC))) $(OUT)/gen/syscall_table.o \
	       $(if $(wildcard arch/$(ARCH)/vdso/vdso.ld),$(OUT)/gen/vdso_image.o)

# Includes: ours, the compiler's own (stdarg, stdint ...), and of the C
# library's folders only Linux's user-space API headers, through links.
GCC_INCLUDE := $(shell $(KCC) -print-file-name=include)
KERNEL_INC  := -nostdinc -Iinclude -Iarch/$(ARCH)/include -I$(OUT)/gen \
	       -isystem $(OUT)/uapi -isystem $(GCC_INCLUDE)

KERNEL_CFLAGS := -std=gnu17 -O2 -g -Wall -Wextra -Werror -Wstrict-prototypes \
	-Wmissing-prototypes -Wno-unused-parameter -Wno-cast-function-type \
	-ffreestanding -fno-common -fno-strict-aliasing -fno-pie -fno-stack-protector \
	-fno-omit-frame-pointer -fno-delete-null-pointer-checks -fwrapv \
	-ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables \
	-D__KERNEL_VELLUM__ $(if $(DEBUG),-DVELLUM_DEBUG) $(ARCH_CFLAGS) $(KERNEL_INC)
ifneq ($(CC),clang)
KERNEL_CFLAGS += -fconserve-stack -Wno-sign-compare
else
KERNEL_CFLAGS += -Wno-sign-compare -Wno-gnu
endif

# Debug builds check undefined behaviour (kernel/debug/undefined.c), except in what firmware shares.
SANITIZE  = $(if $(DEBUG),$(if $(filter $(NO_SANITIZE) lib/libcalls.c,$<),,-fsanitize=undefined))

.PHONY: kernel
kernel: $(OUT)/vellum $(KERNEL_IMAGES) ## the kernel for ARCH, build/ARCH/vellum

$(OUT)/uapi/.made:
	@mkdir -p $(OUT)/uapi
	$(Q)for d in linux asm-generic; do ln -sfn $(UAPI_LINUX)/$$d $(OUT)/uapi/$$d; done
	$(Q)ln -sfn $(UAPI_ASM) $(OUT)/uapi/asm
	@touch $@

# The system call table: the numbers come from the UAPI header, the functions
# from wherever the sources say SYSCALL_DEFINEn(name, ...).
# Newer than what is made from all sources when one of them was added or has gone.
$(OUT)/gen/sources: FORCE
	@mkdir -p $(@D)
	@echo '$(KERNEL_SRC)' | cmp -s - $@ || echo '$(KERNEL_SRC)' > $@
.PHONY: FORCE

$(OUT)/gen/syscall_table.c: tools/mksyscalls.sh $(filter %.c,$(KERNEL_SRC)) $(OUT)/gen/sources $(OUT)/uapi/.made
	@mkdir -p $(@D)
	$(Q)KCC="$(KCC)" UAPI=$(OUT)/uapi tools/mksyscalls.sh $(filter %.c,$(KERNEL_SRC)) > $@

$(OUT)/gen/syscall_table.o: $(OUT)/gen/syscall_table.c
	$(call say,CC,$<)
	$(Q)$(KCC) $(KERNEL_CFLAGS) -c $< -o $@

$(OUT)/%.o: %.c $(OUT)/uapi/.made
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(KCC) $(KERNEL_CFLAGS) $(SANITIZE) -MMD -MP -c $< -o $@

$(OUT)/%.o: %.S $(OUT)/gen/offsets.h $(OUT)/uapi/.made
	@mkdir -p $(@D)
	$(call say,AS,$<)
	$(Q)$(KCC) $(KERNEL_CFLAGS) -D__ASSEMBLY__ -MMD -MP -c $< -o $@

# What assembly must know of C structures: <vellum/offsets.h> tells how.
$(OUT)/gen/offsets.h: arch/$(ARCH)/offsets.c $(OUT)/uapi/.made
	@mkdir -p $(@D)
	$(Q)$(KCC) $(KERNEL_CFLAGS) -MMD -MP -MT $@ -MF $@.d -S -o $(OUT)/gen/offsets.s $<
	$(Q)sed -nE 's/^.*->([A-Za-z0-9_]+) ([0-9-]+).*/#define \1 \2/p' $(OUT)/gen/offsets.s > $@
-include $(OUT)/gen/offsets.h.d

# The vDSO: a shared object of its own that the kernel's image carries.
VDSO_SRC    := $(sort $(wildcard arch/$(ARCH)/vdso/*.c arch/$(ARCH)/vdso/*.S))
VDSO_CFLAGS  = $(filter-out -mcmodel=% -fno-pie,$(KERNEL_CFLAGS)) -fPIC $(ARCH_VDSO_CFLAGS)
$(OUT)/gen/vdso.so: $(VDSO_SRC) arch/$(ARCH)/vdso/vdso.ld $(wildcard include/vellum/*.h) $(OUT)/uapi/.made
	@mkdir -p $(@D)
	$(call say,VDSO,$@)
	$(Q)$(KCC) $(VDSO_CFLAGS) -shared -nostdlib -Wl,-soname=linux-vdso.so.1 -Wl,--hash-style=both \
	    -Wl,--build-id=none -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack -Wl,-Bsymbolic \
	    -Wl,-T,arch/$(ARCH)/vdso/vdso.ld -o $@.full $(VDSO_SRC)
	$(Q)$(CROSS)objcopy --strip-all $@.full $@

$(OUT)/gen/vdso_image.S: tools/kernel.mk
	@mkdir -p $(@D)
	$(Q)printf '%s\n' '.section .rodata' '.balign 4096' '.globl vdso_start, vdso_end' \
	    'vdso_start: .incbin "$(OUT)/gen/vdso.so"' '.balign 4096' 'vdso_end:' \
	    '.section .note.GNU-stack,"",@progbits' > $@

$(OUT)/gen/vdso_image.o: $(OUT)/gen/vdso_image.S $(OUT)/gen/vdso.so
	$(Q)$(KCC) $(ARCH_CFLAGS) -fno-pie -c $< -o $@

# Linked twice: the first link tells the addresses of all functions, from which
# the symbol table for backtraces is made that the second link carries (last in
# the image, so that nothing else moves).
$(OUT)/vellum.nosyms: $(KERNEL_OBJ) $(OUT)/gen/sources arch/$(ARCH)/kernel.ld
	$(Q)echo 'const unsigned char symbol_table[4] __attribute__((section(".symtab_blob"))) = {0};' | \
	    $(KCC) $(ARCH_CFLAGS) -fno-pie -ffreestanding -x c -c - -o $(OUT)/gen/nosyms.o
	$(Q)$(KCC) -nostdlib -static -no-pie $(ARCH_LDFLAGS) -Wl,--gc-sections -Wl,--build-id=none \
	    -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments \
	    -T arch/$(ARCH)/kernel.ld -o $@ $(KERNEL_OBJ) $(OUT)/gen/nosyms.o

$(OUT)/gen/symbols.S: $(OUT)/vellum.nosyms tools/mksymbols.sh
	$(Q)$(CROSS)nm -n $< | tools/mksymbols.sh $(if $(DEBUG),data) > $@

$(OUT)/gen/symbols.o: $(OUT)/gen/symbols.S
	$(Q)$(KCC) $(ARCH_CFLAGS) -fno-pie -c $< -o $@

$(OUT)/vellum: $(OUT)/vellum.nosyms $(OUT)/gen/symbols.o
	$(call say,LD,$@)
	$(Q)$(KCC) -nostdlib -static -no-pie $(ARCH_LDFLAGS) -Wl,--gc-sections -Wl,--build-id=none \
	    -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments \
	    -T arch/$(ARCH)/kernel.ld -o $@ $(KERNEL_OBJ) $(OUT)/gen/symbols.o

-include $(KERNEL_OBJ:.o=.d)
