export { type ServeConfig, serveConfigSchema } from './config.ts';
export { createServer, type ModelInfo, type Server, type ServerOptions } from './server.ts';
export { type Listening, startServer } from './start.ts';
