# limpid. `make demo` shows it, `make check` tests it, `make` builds ./limpid.
#
#   make               ./limpid, optimised and hardened
#   make demo          install what is missing, build, open a bundled capture
#   make check         install what is missing, then unit, golden and short interop tests
#   make check-all     the whole interop matrix, the sanitizers, other compilers and switches
#   make asan          unit, fuzz corpora and golden tests under ASan and UBSan
#   make unit [T="cursor buf"]     make golden [T=NAME]     make interop [T=NAME]
#   make bench [T=NAME]
#   make bench-check   instructions a packet, a record and a session cost, against the committed baseline
#   make bench-baseline    writes that baseline, for the compiler and the libraries of this machine
#   make bench-loss    what loss costs: bytes that come out of spoilt captures
#   make fuzz [T=NAME] [FUZZ_SECONDS=60]    make layers     make install     make clean
#
# Switches: BUILD=dir  CC=clang  CFLAGS=…  NIDS=0 (no libnids, which is GPL)
#           MEMCACHED=0 (no --session-store)  OPENSSL=0 (no libcrypto)  IPSEC_MB=0 (no two HMACs
#           at once; it is for x86-64 and goes with libcrypto)  SAN=1 (ASan+UBSan)
#           SAN=thread (TSan)  FUZZ=1 (libFuzzer, clang only)

BUILD   ?= build
DESTDIR ?=
PREFIX  ?= /usr/local
LIBDIR  ?= $(PREFIX)/lib
NIDS    ?= 1
OPENSSL ?= 1
MEMCACHED ?= 1
IPSEC_MB ?= $(if $(filter x86_64-%,$(shell $(CC) -dumpmachine)),$(OPENSSL),0)
SAN     ?= 0
FUZZ    ?= 0
FUZZ_SECONDS ?= 60
VERSION := 0.1.0

comma := ,
# The flag, if the compiler takes it.
try = $(shell $(CC) -Werror $(1) -xc -c /dev/null -o /dev/null 2>/dev/null && echo $(1))

SANITIZERS := $(if $(filter thread,$(SAN)),thread,address$(comma)undefined)
WARN := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla
ifneq ($(SAN)$(FUZZ),00)
OPT  := -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=undefined \
	-fsanitize=$(SANITIZERS)$(if $(filter 1,$(FUZZ)),$(comma)fuzzer-no-link)
HARD :=
SANLD := -fsanitize=$(SANITIZERS)
else
OPT  := -O2 -g
HARD := -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 \
	$(call try,-fstack-clash-protection) $(call try,-fcf-protection)
endif
PP    = -Iengine -Iinclude -DLP_VERSION='"$(VERSION)"' $(WITH) $(MBEDTLS_CPPFLAGS) $(CPPFLAGS)
ALLC  = -std=c11 $(WARN) $(OPT) $(HARD) -fPIC $(INLINE) -pthread $(CFLAGS)
INLINE := $(call try,-fno-semantic-interposition)
ALLLD = -pie -Wl,-z,relro,-z,now,-z,noexecstack $(SANLD) $(LDFLAGS)
LIBS  := -lmbedx509 -lmbedcrypto -lpcap -lz -lzstd -ljansson -ldl -pthread $(LDLIBS)
ifeq ($(OPENSSL),1)
WITH     += -DLP_WITH_OPENSSL
LIBS     += -lcrypto
else
OUT      += engine/crypto/openssl.c engine/crypto/openssl_hash.c
endif
ifeq ($(OPENSSL)$(IPSEC_MB),11)
WITH     += -DLP_WITH_IPSEC_MB
LIBS     += -lIPSec_MB
else
OUT      += engine/crypto/openssl_two.c
endif
ifeq ($(MEMCACHED),1)
WITH     += -DLP_WITH_MEMCACHED
LIBS     += -lmemcached
else
OUT      += engine/store/memcached.c
endif
ifeq ($(NIDS),1)
WITH     += -DLP_WITH_NIDS
LIBS     += -lnids
else
OUT      += engine/net/tcp_nids.c engine/net/nids_library.c
endif

SRC  := $(filter-out engine/main.c $(OUT),$(sort $(wildcard engine/*.c engine/*/*.c)))
OBJ  := $(SRC:%.c=$(BUILD)/%.o)
UNIT := $(sort $(wildcard tests/unit/test_*.c))
HELP := $(sort $(wildcard tests/unit/help_*.c))
FUZZERS := $(patsubst tests/fuzz/fuzz_%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
BENCHES := $(patsubst tests/bench/bench_%.c,$(BUILD)/bench/%,$(wildcard tests/bench/bench_*.c))
HELPERS := $(patsubst tests/interop/%.c,$(BUILD)/interop/%,$(wildcard tests/interop/*.c))

all: limpid

# Phony, so that ./limpid is always that of the last BUILD asked for.
limpid: $(BUILD)/limpid
	@cmp -s $< $@ || cp -f $< $@

$(BUILD)/limpid: $(BUILD)/engine/main.o $(BUILD)/liblimpid.a
	@echo "  LD $@"
	@$(CC) $(ALLC) $(ALLLD) -o $@ $< -Wl,--whole-archive $(BUILD)/liblimpid.a -Wl,--no-whole-archive $(LIBS)

$(BUILD)/liblimpid.a: $(OBJ)
	@rm -f $@
	@$(AR) rcs $@ $^

$(BUILD)/liblimpid.so: $(OBJ) engine/limpid.map
	@$(CC) $(ALLC) -shared -Wl,-soname,liblimpid.so.0,--version-script=engine/limpid.map,-z,relro,-z,now \
		$(SANLD) $(LDFLAGS) -o $@ $(OBJ) $(LIBS)

# Objects are made again when the compiler or a switch changes.
FLAGS := $(strip $(CC) $(ALLC) $(PP))
ifneq ($(FLAGS),$(shell cat $(BUILD)/flags 2>/dev/null))
$(shell mkdir -p $(BUILD))
$(file >$(BUILD)/flags,$(FLAGS))
endif

$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	@echo "  CC $<"
	@$(CC) $(ALLC) $(PP) -MMD -MP -c -o $@ $<

# Unit tests: tests/unit/test_NAME.c exports Suite *suite_NAME(void); help_*.c is
# shared by them.
$(BUILD)/suites.h: $(UNIT)
	@mkdir -p $(@D)
	@for f in $(UNIT:tests/unit/test_%.c=%); do echo "X($$f)"; done > $@

$(BUILD)/tests/unit/main.o: $(BUILD)/suites.h
$(BUILD)/tests/%.o: WARN := -Wall -Wextra -Wshadow
$(BUILD)/tests/%.o: PP += -I$(BUILD) -Itests/unit

$(BUILD)/unit: $(BUILD)/tests/unit/main.o $(UNIT:%.c=$(BUILD)/%.o) $(HELP:%.c=$(BUILD)/%.o) $(BUILD)/liblimpid.a
	@echo "  LD $@"
	@$(CC) $(ALLLD) -Wl,--wrap=_mark_point -o $@ $(filter %.o,$^) $(BUILD)/liblimpid.a $(LIBS) $$(pkg-config --libs check)

unit: $(BUILD)/unit
	@$(if $(filter 1,$(SAN)),CK_FORK=no) $(BUILD)/unit $(T)

# Fuzz targets: tests/fuzz/fuzz_NAME.c. With FUZZ=1 libFuzzer drives them, else
# replay.c feeds them the files of their corpus.
$(BUILD)/fuzz/%: $(BUILD)/tests/fuzz/fuzz_%.o $(BUILD)/tests/fuzz/replay.o $(HELP:%.c=$(BUILD)/%.o) $(BUILD)/liblimpid.a
	@mkdir -p $(@D)
	@$(CC) $(ALLLD) -o $@ $< $(if $(filter 1,$(FUZZ)),-fsanitize=fuzzer,$(BUILD)/tests/fuzz/replay.o) \
		$(HELP:%.c=$(BUILD)/%.o) $(BUILD)/liblimpid.a $(LIBS) $$(pkg-config --libs check)

# Small programs that the interop tests need beside the real ones.
$(BUILD)/interop/%: tests/interop/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	@$(CC) -std=c11 -Wall -Wextra -O2 $(MBEDTLS_CPPFLAGS) -o $@ $< -lssl -lcrypto $(HELPER_LIBS) -pthread $(LDFLAGS)
$(BUILD)/interop/talk_gnutls: HELPER_LIBS := -lgnutls
$(BUILD)/interop/talk_mbedtls: HELPER_LIBS := -lmbedtls -lmbedx509 -lmbedcrypto
$(BUILD)/interop/deflate: HELPER_LIBS := -lz

# What makes captures for tests/bench/loss.sh, spoils them and looks at the outcome.
$(BUILD)/bench/loss: tests/bench/loss.c $(BUILD)/flags
	@mkdir -p $(@D)
	@$(CC) -std=c11 -Wall -Wextra -O2 -o $@ $< -lssl -lcrypto

# Programs that print figures: tests/bench/bench_NAME.c.
$(BUILD)/bench/%: $(BUILD)/tests/bench/bench_%.o $(BUILD)/liblimpid.a
	@mkdir -p $(@D)
	@$(CC) $(ALLLD) -o $@ $^ $(LIBS)

# What the scripts in tests/run start: all of it, for this BUILD.
tests: $(BUILD)/limpid $(BUILD)/unit $(FUZZERS:%=$(BUILD)/fuzz/%) $(HELPERS) $(BUILD)/bench/loss

R := BUILD=$(BUILD) MAKE="$(MAKE)" CC="$(CC)" SAN=$(SAN) FUZZ_SECONDS=$(FUZZ_SECONDS) tests/run
demo:
	@$(R)/deps.sh build
	@$(MAKE) --no-print-directory limpid
	@tests/run/demo.sh
check:
	@$(R)/deps.sh build check
	@$(R)/check.sh layers tests unit replay golden interop
check-all:
	@$(R)/deps.sh build check check-all
	@$(R)/check.sh builds asan clang mbedtls3 matrix
asan:
	@$(R)/deps.sh build check
	@$(R)/check.sh asan
golden interop layers:
	@$(R)/check.sh $(if $(filter layers,$@),,tests) $@ $(if $(T),T=$(T))
bench-check bench-baseline:
	@$(R)/deps.sh build check bench-check
	@$(R)/check.sh $@
bench-loss:
	@$(R)/check.sh tests loss
fuzz:
	@$(R)/fuzz.sh $(or $(T),$(FUZZERS))
# Prints figures; on a machine that does nothing else.
bench:
	@$(R)/deps.sh build check bench
	@$(MAKE) --no-print-directory $(BUILD)/limpid $(BENCHES) $(BUILD)/bench/loss $(BUILD)/interop/many
	@BUILD=$(BUILD) tests/bench/run.sh $(T)
deps:
	@$(R)/deps.sh build check check-all

install: $(BUILD)/limpid $(BUILD)/liblimpid.a $(BUILD)/liblimpid.so
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/include/limpid $(DESTDIR)$(LIBDIR)/pkgconfig \
		$(DESTDIR)$(PREFIX)/share/man/man1
	install -m 755 $(BUILD)/limpid $(DESTDIR)$(PREFIX)/bin/limpid
	install -m 644 include/limpid/*.h $(DESTDIR)$(PREFIX)/include/limpid
	install -m 644 $(BUILD)/liblimpid.a $(DESTDIR)$(LIBDIR)/liblimpid.a
	install -m 755 $(BUILD)/liblimpid.so $(DESTDIR)$(LIBDIR)/liblimpid.so.$(VERSION)
	ln -sf liblimpid.so.$(VERSION) $(DESTDIR)$(LIBDIR)/liblimpid.so.0
	ln -sf liblimpid.so.0 $(DESTDIR)$(LIBDIR)/liblimpid.so
	sed -e 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@VERSION@|$(VERSION)|; s|@LIBS@|$(LIBS)|' \
		docs/limpid.pc.in > $(DESTDIR)$(LIBDIR)/pkgconfig/limpid.pc
	install -m 644 docs/limpid.1 $(DESTDIR)$(PREFIX)/share/man/man1/limpid.1

clean:
	rm -rf $(BUILD) limpid

.PHONY: all limpid unit tests bench bench-check bench-baseline bench-loss demo check check-all asan golden interop layers fuzz deps install clean
.SECONDARY:
-include $(patsubst %.c,$(BUILD)/%.d,$(wildcard engine/*.c engine/*/*.c tests/*/*.c))
