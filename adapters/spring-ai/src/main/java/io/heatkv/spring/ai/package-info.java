/** Pictures for Spring AI, drawn in the same process. */
@NullMarked
package io.heatkv.spring.ai;

import org.jspecify.annotations.NullMarked;
