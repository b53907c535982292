/* lp_err: what a function that can fail returns.
 * LP_OK is 0, LP_MORE means "not a fault, feed me more", faults are negative.
 * A fault of the wire (TRUNCATED, FORMAT, AUTH, LIMIT, ORDER) ends one session;
 * a fault of the machine (NOMEM, IO, ARG) climbs to main.
 * A bug is an assert. */
#ifndef LP_BASE_ERR_H
#define LP_BASE_ERR_H

#define LP_ERR_LIST(X)                                      \
	X(LP_OK, 0, "ok")                                   \
	X(LP_MORE, 1, "more input is needed")               \
	X(LP_EOF, 2, "end of input")                        \
	X(LP_E_NOMEM, -1, "out of memory")                  \
	X(LP_E_IO, -2, "input/output error")                \
	X(LP_E_ARG, -3, "invalid argument")                 \
	X(LP_E_NOENT, -4, "not found")                      \
	X(LP_E_TRUNCATED, -5, "truncated")                  \
	X(LP_E_FORMAT, -6, "malformed")                     \
	X(LP_E_LIMIT, -7, "limit reached")                  \
	X(LP_E_UNSUPPORTED, -8, "not supported")            \
	X(LP_E_AUTH, -9, "authentication failed")           \
	X(LP_E_ORDER, -10, "unexpected at this point")      \
	X(LP_E_PASSPHRASE, -11, "wrong or missing passphrase") \
	X(LP_E_MISMATCH, -12, "the halves of the key do not belong together")

enum lp_err {
#define X(name, value, text) name = value,
	LP_ERR_LIST(X)
#undef X
};

#define LP_MUST __attribute__((warn_unused_result))
#define LP_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* A sentence fragment in lower case; static, never NULL. */
const char *lp_err_text(enum lp_err err);

#endif
