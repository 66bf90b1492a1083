/** Stops with a plain message where Node is too old; imported first, so it must parse on any Node with modules. */
const [major, minor] = process.versions.node.split('.').map(Number);

if (major < 20 || (major === 20 && minor < 20)) {
  console.error(
    `dabarex needs Node 20.20 or newer; this is Node ${process.versions.node}. Install a newer Node and run again.`,
  );
  process.exit(1);
}
