/**
 * A model family as small as one can be, unlike Infinity in all that a family may choose: its
 * condition is a class, its tokens are entries of a codebook, its grids are odd, guidance grows
 * with the scale. Tests run everything with it; whoever adds a family may begin with a copy.
 */
@NullMarked
package io.heatkv.testkit.toy;

import org.jspecify.annotations.NullMarked;
