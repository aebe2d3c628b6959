/** Of the agent; reported with the inventory, and compared with trust.json's `minimumAgent`. */
export const agentVersion = '0.1.0'
/** The bundle schema that this agent knows. */
export const bundleSchema = 1
