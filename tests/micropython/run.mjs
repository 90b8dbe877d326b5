// SPDX-License-Identifier: MIT
// node run.mjs <micropython.mjs> <firmware_protocol> <reading.py> <cases> <results>: read cases under MicroPython.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [engine, protocol, reading, cases, results] = process.argv.slice(2);
const { loadMicroPython } = await import(pathToFileURL(engine));
const micropython = await loadMicroPython({ heapsize: 16 * 1024 * 1024 });
const { FS } = micropython;

FS.mkdir("/project");
FS.mkdir("/project/firmware_protocol");
for (const name of ["__init__.py", "layout.py", "codec.py"]) {
    FS.writeFile(`/project/firmware_protocol/${name}`, readFileSync(join(protocol, name)));
}
FS.writeFile("/project/reading.py", readFileSync(reading));
FS.writeFile("/cases", readFileSync(cases));
micropython.runPython(`
import sys
sys.path.insert(0, "/project")
import reading
assert sys.implementation.name == "micropython"
reading.read_cases("/cases", "/results")
`);
writeFileSync(results, FS.readFile("/results"));
