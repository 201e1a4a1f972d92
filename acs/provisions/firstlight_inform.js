// Makes a CPE that reports with 0 BOOTSTRAP report every minute, so that it gets its settings soon. Installed and named
// by Firstlight; edits are overwritten. Its settings then say how often it reports afterwards.
//
// A root that a CPE does not have is passed over without a word.
const now = Date.now();
declare("Device.ManagementServer.PeriodicInformEnable", {value: now}, {value: true});
declare("Device.ManagementServer.PeriodicInformInterval", {value: now}, {value: 60});
declare("InternetGatewayDevice.ManagementServer.PeriodicInformEnable", {value: now}, {value: true});
declare("InternetGatewayDevice.ManagementServer.PeriodicInformInterval", {value: now}, {value: 60});
