/* SPDX-License-Identifier: MIT */
/* What every unit test includes: cmocka with the headers it wants before it, and the fake host. */
#ifndef TESTS_UNIT_UNIT_H
#define TESTS_UNIT_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/types.h"
#include "hosts/fake/fake.h"

#endif
