/** The embedding API: run a gateway inside your own program. */
export { type Gateway, type GatewayOptions, startGateway } from './gateway.ts'
