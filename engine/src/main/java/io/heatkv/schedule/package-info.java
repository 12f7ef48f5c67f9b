/**
 * The method: scores of heads (S-CAS), their orders, the budget, the static pruning schedule, the
 * plan of cache slots, and their files.
 *
 * <p>Pure Java, integers and doubles: every decision of the paper is made here before the first
 * token. An atom is the keys and values of all tokens of one source scale in one head of one layer.
 */
@NullMarked
package io.heatkv.schedule;

import org.jspecify.annotations.NullMarked;
