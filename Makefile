# limpid. `make` builds ./limpid, `make demo` shows it, `make check` tests it.
# BUILD=dir  CC=clang  NIDS=0 (no libnids)  OPENSSL=0 (no libcrypto)  SAN=1 (ASan+UBSan)

BUILD   ?= build
PREFIX  ?= /usr/local
NIDS    ?= 1
OPENSSL ?= 1
SAN     ?= 0
VERSION := 0.1.0

WARN := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla
HARD := -fPIE -fstack-protector-strong -D_FORTIFY_SOURCE=2
OPT  := -O2 -g
ifeq ($(SAN),1)
OPT  := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
HARD := -fPIE
SANLD := -fsanitize=address,undefined
endif
CPPFLAGS += -Iengine -Iinclude -DLP_VERSION='"$(VERSION)"' $(MBEDTLS_CPPFLAGS)
CFLAGS   ?=
ALLC      = -std=c11 $(WARN) $(OPT) $(HARD) -pthread $(CFLAGS)
LDLIBS   += -lmbedx509 -lmbedcrypto -lpcap -lz -lzstd -ljansson -ldl -pthread
ifeq ($(OPENSSL),1)
CPPFLAGS += -DLP_WITH_OPENSSL
LDLIBS   += -lcrypto
else
OUT      += engine/crypto/openssl.c
endif
ifeq ($(NIDS),1)
CPPFLAGS += -DLP_WITH_NIDS
LDLIBS   += -lnids
else
OUT      += engine/net/tcp_nids.c
endif
ALLLD = -pie -Wl,-z,relro,-z,now -rdynamic $(SANLD) $(LDFLAGS)

SRC  := $(filter-out engine/main.c $(OUT),$(sort $(wildcard engine/*.c engine/*/*.c)))
OBJ  := $(SRC:%.c=$(BUILD)/%.o)
UNIT := $(sort $(wildcard tests/unit/test_*.c))
HELP := $(sort $(wildcard tests/unit/help_*.c))

all: limpid

limpid: $(BUILD)/limpid
	cp -f $< $@

$(BUILD)/limpid: $(BUILD)/engine/main.o $(BUILD)/liblimpid.a
	@echo "  LD $@"
	@$(CC) $(ALLLD) -o $@ $< -Wl,--whole-archive $(BUILD)/liblimpid.a -Wl,--no-whole-archive $(LDLIBS)

$(BUILD)/liblimpid.a: $(OBJ)
	@rm -f $@
	@$(AR) rcs $@ $^

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC $<"
	@$(CC) $(ALLC) $(CPPFLAGS) -MMD -MP -c -o $@ $<

# Unit tests: tests/unit/test_NAME.c exports Suite *suite_NAME(void); help_*.c is
# shared by them. `make unit` builds and runs all, `make unit T="cursor buf"` some.
$(BUILD)/suites.h: $(UNIT)
	@mkdir -p $(@D)
	@for f in $(UNIT:tests/unit/test_%.c=%); do echo "X($$f)"; done > $@

$(BUILD)/tests/unit/main.o: $(BUILD)/suites.h
$(BUILD)/tests/unit/%.o: WARN := -Wall -Wextra -Wshadow
$(BUILD)/tests/unit/%.o: CPPFLAGS += -I$(BUILD) -Itests/unit

$(BUILD)/unit: $(BUILD)/tests/unit/main.o $(UNIT:%.c=$(BUILD)/%.o) $(HELP:%.c=$(BUILD)/%.o) $(BUILD)/liblimpid.a
	@echo "  LD $@"
	@$(CC) $(ALLLD) -o $@ $(filter %.o,$^) $(BUILD)/liblimpid.a $(LDLIBS) $$(pkg-config --libs check)

unit: $(BUILD)/unit
	@$(if $(filter 1,$(SAN)),CK_FORK=no) $(BUILD)/unit $(T)

clean:
	rm -rf $(BUILD) limpid

.PHONY: all unit clean
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
