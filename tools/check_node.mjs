// Says so if Node is of a version that cdktf 0.21 does not run on.
const major = process.versions.node.split(".")[0];
if (major !== "20" && major !== "22") {
  console.error(`cdktf 0.21 needs Node 20 or 22, this is ${process.versions.node}`);
  process.exit(1);
}
