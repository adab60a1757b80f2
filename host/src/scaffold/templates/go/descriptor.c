/* The gateway reads this from the file before any code runs, the runtime of Go included; so it is written in C. */
#include "plugin.h"

SWAPGATE_GO_PLUGIN("@name@", "0.1.0");
