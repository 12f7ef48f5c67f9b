/** What a user of the library writes. */
@NullMarked
package org.example;

import org.jspecify.annotations.NullMarked;
