export async function endpointCost(): Promise<string> {
  return 'todo';
}
