# How to compile the kernel for RISC-V 64.
CROSS        := riscv64-linux-gnu-
CLANG_TARGET := --target=riscv64-linux-gnu
ARCH_CFLAGS  := -march=rv64imac$(if $(filter clang,$(CC)),,_zicsr_zifencei) -mabi=lp64 -mcmodel=medany -mno-relax
# entry.S saves the whole frame around these calls.
WHOLE_FRAME  := clone clone3 execve execveat rt_sigreturn
ARCH_LDFLAGS := -march=rv64imac -mabi=lp64 -mno-relax $(WHOLE_FRAME:%=-Wl,--wrap=sys_%)
UAPI_LINUX   := /usr/riscv64-linux-gnu/include
UAPI_ASM     := /usr/riscv64-linux-gnu/include/asm

# The kernel is compiled without floating point; this file is the exception.
$(OUT)/arch/riscv64/fpu.o: KERNEL_CFLAGS += -march=rv64imafdc$(if $(filter clang,$(CC)),,_zicsr_zifencei)

# For `-bios none`: the same objects and, at the start of memory, firmware of our own. It is linked by
# itself at its own address, and the second image carries it as a block of bytes.
KERNEL_IMAGES += $(OUT)/vellum-bare
FIRMWARE_SRC  := $(wildcard arch/riscv64/firmware/*.c arch/riscv64/firmware/*.S)
FIRMWARE_OBJ  := $(patsubst %,$(OUT)/%.o,$(basename $(FIRMWARE_SRC))) \
		 $(OUT)/lib/fdt.o $(OUT)/lib/string.o $(OUT)/lib/libcalls.o $(OUT)/arch/riscv64/string.o

NO_SANITIZE   := arch/riscv64/firmware/% lib/fdt.c lib/string.c

$(OUT)/gen/firmware: $(FIRMWARE_OBJ) arch/riscv64/firmware/firmware.ld
	$(Q)$(KCC) -nostdlib -static -no-pie -march=rv64imac -mabi=lp64 -mno-relax -Wl,--gc-sections \
	    -Wl,--build-id=none -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments \
	    -T arch/riscv64/firmware/firmware.ld -o $@.elf $(FIRMWARE_OBJ)
	$(Q)$(CROSS)objcopy -O binary $@.elf $@

$(OUT)/gen/firmware_image.o: $(OUT)/gen/firmware
	$(Q)printf '%s\n' '.section .firmware_image,"a"' '.incbin "$<"' '.section .note.GNU-stack,"",@progbits' | \
	    $(KCC) $(ARCH_CFLAGS) -x assembler -c - -o $@

$(OUT)/gen/bare.ld: arch/riscv64/kernel.ld
	$(Q)sed 's|/\*BARE \(.*\) \*/|\1|' $< > $@

$(OUT)/vellum-bare: $(OUT)/vellum $(OUT)/gen/firmware_image.o $(OUT)/gen/bare.ld
	$(call say,LD,$@)
	$(Q)$(KCC) -nostdlib -static -no-pie $(ARCH_LDFLAGS) -Wl,--gc-sections -Wl,--build-id=none \
	    -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments \
	    -T $(OUT)/gen/bare.ld -o $@ $(KERNEL_OBJ) $(OUT)/gen/symbols.o $(OUT)/gen/firmware_image.o
