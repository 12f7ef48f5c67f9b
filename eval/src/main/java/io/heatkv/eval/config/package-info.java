/** Evaluations as files: which prompts, policies and budgets, and what was published of them. */
@NullMarked
package io.heatkv.eval.config;

import org.jspecify.annotations.NullMarked;
