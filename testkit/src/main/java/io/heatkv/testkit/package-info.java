/** What tests of several modules share. */
@NullMarked
package io.heatkv.testkit;

import org.jspecify.annotations.NullMarked;
