//! The test equipment itself: if this is red, look here before looking at anything else that uses a livekit-server.

mod support;

use support::LiveKitServer;

#[tokio::test]
async fn a_server_of_ones_own_answers_its_apis_and_comes_back_after_a_crash() {
    let mut server = LiveKitServer::start();
    server.create_room("r1").await;
    let dispatch = server.create_dispatch_now("r1", "nobody", "{}").await;
    assert!(dispatch.starts_with("AD_"), "{dispatch}");
    server.delete_dispatch("r1", &dispatch).await;
    assert!(server.list_participants("r1").await.is_empty());
    server.delete_room("r1").await;
    server.kill();
    server.launch();
    server.create_room("r2").await;
}
