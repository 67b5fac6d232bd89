# Programs of our own for the guest, and the image that they ship in.
#
# They are C against musl, linked statically: tens of kilobytes each. musl's
# headers and library are those of Debian's musl-dev for the guest's machine;
# the compiler is the host's.

PACKAGES   := build/packages/$(ARCH)
PROG_CC    := $(CROSS)gcc
MUSL       := $(PACKAGES)/musl-dev
MUSL_TUPLE := $(ARCH)-linux-musl
MUSL_LIB   := $(MUSL)/usr/lib/$(MUSL_TUPLE)
PROG_CFLAGS = -std=gnu17 -Os -g -Wall -Wextra -Werror -Wno-unused-parameter -fno-pie -fno-stack-protector \
	-fno-asynchronous-unwind-tables -ffunction-sections -fdata-sections \
	-nostdinc -isystem $(MUSL)/usr/include/$(MUSL_TUPLE) -isystem $(GCC_INCLUDE) -isystem $(OUT)/uapi
PROG_LD     = $(PROG_CC) -nostdlib -static -no-pie -Wl,--gc-sections -Wl,-z,noexecstack

PROG_DIRS  := $(patsubst user/%/main.c,%,$(wildcard user/*/main.c))
PROGRAMS   := $(PROG_DIRS:%=$(OUT)/user/%)

.PHONY: programs image
programs: $(PROGRAMS) ## our own programs for the guest, build/ARCH/user/
image: $(OUT)/root.cpio ## the default root image, build/ARCH/root.cpio

# A package is fetched and unpacked once; see tools/guest-packages.
$(PACKAGES)/%/.unpacked: | tools/guest-packages
	$(Q)tools/guest-packages $(ARCH) $*
.PRECIOUS: $(PACKAGES)/%/.unpacked

# How a program starts is ours (arch/ARCH/user/start.S): Debian 12's linker
# cannot read the crt1.o for RISC-V that Debian 13's assembler wrote.
$(OUT)/user/start.o: arch/$(ARCH)/user/start.S
	@mkdir -p $(@D)
	$(Q)$(PROG_CC) -c $< -o $@

# Each program has a folder, with a main.c in it.
$(OUT)/programs/%.o: user/%.c $(MUSL)/.unpacked $(OUT)/uapi/.made
	@mkdir -p $(@D)
	$(Q)$(PROG_CC) $(PROG_CFLAGS) -MMD -MP -c $< -o $@

define folder_program
$(OUT)/user/$(1): $(patsubst user/%.c,$(OUT)/programs/%.o,$(wildcard user/$(1)/*.c)) $(OUT)/user/start.o
	$$(call say,PROG,$$@)
	$$(Q)$$(PROG_LD) -o $$@.full $(OUT)/user/start.o $$(filter $(OUT)/programs/%,$$^) $$(MUSL_LIB)/libc.a -lgcc
	$$(Q)$$(CROSS)objcopy --strip-all $$@.full $$@
endef
$(foreach p,$(PROG_DIRS),$(eval $(call folder_program,$(p))))
-include $(wildcard $(OUT)/programs/*/*.d)

# The image: busybox as Debian built it, under all its names, and our programs.
BUSYBOX := $(PACKAGES)/busybox-static
HOST_RUN = $(if $(filter $(shell uname -m),$(ARCH)),,qemu-$(ARCH) )

$(OUT)/busybox.list: $(BUSYBOX)/.unpacked
	@mkdir -p $(@D)
	$(Q)set -e; echo "file /bin/busybox 0755 $(BUSYBOX)/usr/bin/busybox" > $@; \
	$(HOST_RUN)$(BUSYBOX)/usr/bin/busybox --list-full > $@.names; \
	grep -vx -e linuxrc -e bin/busybox -e usr/bin/busybox $@.names | sed 's|.*|link /& /bin/busybox|' >> $@

$(OUT)/programs.list: $(PROGRAMS) $(MAKEFILE_LIST)
	$(Q){ echo "file /init 0755 $(OUT)/user/init"; \
	    for p in $(filter-out init,$(notdir $(PROGRAMS))); do echo "file /usr/bin/$$p 0755 $(OUT)/user/$$p"; done; } > $@

$(OUT)/root.cpio: $(OUT)/busybox.list $(OUT)/programs.list user/image.list $(shell find user/image -type f) tools/newc.py
	$(call say,IMAGE,$@)
	$(Q)tools/newc.py $@ user/image.list $(OUT)/busybox.list $(OUT)/programs.list
