/** Small JSON documents as plain maps and lists, read with limits on size and depth. */
@NullMarked
package io.heatkv.json;

import org.jspecify.annotations.NullMarked;
