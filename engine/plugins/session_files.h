/* lp_session_files: the two files of one session (or of one flow that is not TLS),
 * its gaps, and the clear prelude that will stand before its bytes.
 * Owner: the files output; lp_session_files_free(). Bounded: LP_GAPS_MAX gaps are
 * kept one by one, later ones are added to the last; a prelude keeps
 * LP_PRELUDE_MAX bytes a direction, what is beyond is a gap. */
#ifndef LP_PLUGINS_SESSION_FILES_H
#define LP_PLUGINS_SESSION_FILES_H

#include <jansson.h>
#include <limpid/plugin.h>

#include "base/buf.h"
#include "plugins/filepool.h"
#include "plugins/states.h"

enum { LP_GAPS_MAX = 1000, LP_PRELUDE_MAX = 256 * 1024 };

struct lp_file_gap {
	enum lp_dir dir;
	uint64_t offset;     /* bytes in the file before it */
	uint64_t lost;       /* stream bytes; 0: captured, but the disk did not take them */
	uint64_t clear_min, clear_max;
};

struct lp_session_files {
	struct lp_state state;
	struct lp_pool_file file[2];   /* by enum lp_dir */
	struct lp_buf prelude[2];
	uint64_t prelude_bytes[2];     /* how much of each file is prelude */
	uint64_t prelude_cut[2];
	uint64_t lost[2];
	struct lp_file_gap *gaps;
	size_t gaps_n, gaps_size;
};

/* NULL: out of memory. */
struct lp_session_files *lp_session_files_new(struct lp_states *list);

/* Makes both files ("STEM_client.bin", "STEM_server.bin") and writes the prelude
 * into them; a file that an earlier call made is left alone. 0, or -1 as
 * lp_filepool. */
LP_MUST int lp_session_files_make(struct lp_session_files *s, struct lp_filepool *pool,
				  const char *stem);

/* 0, or -1 out of memory. */
LP_MUST int lp_session_files_gap(struct lp_session_files *s, enum lp_dir dir,
				 const struct lp_gap_info *gap);

/* Keeps clear bytes for later; what the buffer or *budget has no room for is
 * counted as cut. 0, or -1 out of memory. */
LP_MUST int lp_session_files_keep(struct lp_session_files *s, enum lp_dir dir,
				  const uint8_t *bytes, size_t n, size_t *budget);

/* Gives prelude memory back to the budget. */
void lp_session_files_forget(struct lp_session_files *s, size_t *budget);

/* Adds client_file … gaps to a json object; s may be NULL: no files. Sets *bad. */
void lp_session_files_json(const struct lp_session_files *s, json_t *object, int *bad);

/* Closes the files first. NULL is allowed. -1 as lp_filepool. */
int lp_session_files_free(struct lp_session_files *s, struct lp_filepool *pool);

#endif
