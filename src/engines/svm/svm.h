/* SPDX-License-Identifier: MIT */
/* The engine svm: AMD's virtualization with nested paging. APM volume 2, chapter 15. */
#ifndef ENGINES_SVM_SVM_H
#define ENGINES_SVM_SVM_H

#include "core/engine.h"

extern const struct engine_ops engine_svm;

#endif
