// Forgets what is known of a CPE that reports with 0 BOOTSTRAP: it is new, or was reset to factory default. Installed
// and named by Firstlight; edits are overwritten.
//
// GenieACS keeps its copy over a factory reset and sends nothing for a value it holds to be set already. So without this
// a reset CPE stays at factory default, however often its settings are set.
const now = Date.now();
clear("Device", now);
clear("InternetGatewayDevice", now);
