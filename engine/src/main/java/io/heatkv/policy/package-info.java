/**
 * Cache policies by name: HeatKV and its peers. Most are a rule that says which tokens stay; what a
 * rule needs of memory and attention is in {@link io.heatkv.cache}.
 */
@NullMarked
package io.heatkv.policy;

import org.jspecify.annotations.NullMarked;
