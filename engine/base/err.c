#include "base/err.h"

const char *lp_err_text(enum lp_err err)
{
	switch (err) {
#define X(name, value, text) \
	case name:           \
		return text;
		LP_ERR_LIST(X)
#undef X
	}
	return "unknown error";
}
