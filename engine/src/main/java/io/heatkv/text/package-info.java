/** From a prompt to text features: tokenizer, prompt limits and the T5 encoder. */
@NullMarked
package io.heatkv.text;

import org.jspecify.annotations.NullMarked;
