package io.heatkv.resource;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class AvailableMemoryTest {
  @TempDir Path root;

  private void file(String name, String text) throws IOException {
    Path file = root.resolve(name);
    Files.createDirectories(file.getParent());
    Files.writeString(file, text);
  }

  @Test
  void isWhatTheKernelCallsAvailable() throws IOException {
    file("proc/meminfo", "MemTotal: 8000 kB\nMemFree: 100 kB\nMemAvailable:    4000 kB\n");
    assertThat(AvailableMemory.bytes(root)).isEqualTo(4000L * 1024);
  }

  @Test
  void isBoundByTheTightestControlGroupAboveTheProcess() throws IOException {
    file("proc/meminfo", "MemAvailable: 4000 kB\n");
    file("proc/self/cgroup", "0::/user/job\n");
    file("sys/fs/cgroup/user/memory.max", "1000000\n");
    file("sys/fs/cgroup/user/memory.current", "900000\n");
    file("sys/fs/cgroup/user/memory.stat", "anon 700000\ninactive_file 150000\n");
    file("sys/fs/cgroup/user/job/memory.max", "max\n");
    file("sys/fs/cgroup/user/job/memory.current", "800000\n");
    assertThat(AvailableMemory.bytes(root)).isEqualTo(1000000 - 900000 + 150000);
    file("sys/fs/cgroup/user/job/memory.max", "810000\n");
    assertThat(AvailableMemory.bytes(root)).isEqualTo(10000);
  }

  /**
   * Each row: what the process's group is called, files of the group as NAME=TEXT, and the bytes
   * that the kernel would still hand out.
   */
  @ParameterizedTest(name = "{0}")
  @CsvSource(
      delimiter = '|',
      value = {
        "idle files | 0::/ | max=1000;current=900;stat=anon 100,inactive_file 750 | 850",
        "files in use | 0::/ | max=1000;current=900;stat=active_file 700,inactive_file 50 | 850",
        "mapped files | 0::/ | max=1000;current=900;stat=file_mapped 600,active_file 650 | 750",
        "shared memory | 0::/ | max=1000;current=900;stat=file 700,shmem 700,active_file 0 | 100",
        "kernel's caches | 0::/ | max=1000;current=900;stat=slab 500,slab_reclaimable 400 | 500",
        "files of other groups | 0::/ | max=1000;current=300;stat=active_file 800 | 1000",
        "beyond its limit | 0::/ | max=1000;current=1200;stat=anon 1200 | 0",
        "no limit | 0::/ | max=max;current=900 | 4096000",
        "no limit but a brake | 0::/ | max=max;high=2000;current=900 | 1100",
        "swap is no memory | 0::/ | max=1000;swap.max=5000;swap.current=0;current=900 | 100",
        "no swap | 0::/ | max=1000;swap.max=0;current=900;stat=active_file 200 | 300",
        "outside of what is mounted | 0::/../other | max=1000;current=900 | 100",
        "of the host's name | 0::/host/docker/abc | max=1000;current=900 | 100",
        "old kind | 4:memory:/docker/abc | limit_in_bytes=1000;usage_in_bytes=900;"
            + "stat=total_active_file 300,total_inactive_file 200,active_file 700 | 600",
        "old kind, several controllers | 4:hugetlb,memory:/ |"
            + " limit_in_bytes=1000;usage_in_bytes=900 | 100",
        "old kind without limit | 4:memory:/ |"
            + " limit_in_bytes=9223372036854771712;usage_in_bytes=900 | 4096000",
        "old kind, swapped out | 4:memory:/ | limit_in_bytes=1000;usage_in_bytes=200;"
            + "memsw.limit_in_bytes=1000;memsw.usage_in_bytes=700;stat=total_active_file 50 | 350",
        "old kind, swap left | 4:memory:/ | limit_in_bytes=1000;usage_in_bytes=900;"
            + "memsw.limit_in_bytes=9000;memsw.usage_in_bytes=900 | 100"
      })
  void countsWhatTheKernelGivesUp(String label, String group, String files, long bytes)
      throws IOException {
    file("proc/meminfo", "MemAvailable: 4000 kB\n");
    file("proc/self/cgroup", "5:cpu:/x\n" + group + "\n");
    String top = group.startsWith("0:") ? "sys/fs/cgroup/" : "sys/fs/cgroup/memory/";
    for (String each : files.split(";")) {
      String[] parts = each.split("=");
      file(top + "memory." + parts[0], parts[1].replace(",", "\n") + "\n");
    }
    assertThat(AvailableMemory.bytes(root)).as(label).isEqualTo(bytes);
  }

  @Test
  void isTheWholeMachineWhereNothingTells() {
    assertThat(AvailableMemory.bytes(root)).isGreaterThan(64L << 20);
  }
}
