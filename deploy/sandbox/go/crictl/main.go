// Command crictl has the two commands of cri-tools' crictl that the desk uses, said and answered in the same way:
//
//	crictl images -o json
//	crictl rmi ID...
//
// The runtime's socket is that of CONTAINER_RUNTIME_ENDPOINT, such as unix:///run/containerd/containerd.sock.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protojson"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	answerTime = 30 * time.Second
	usage      = "expected: crictl images -o json, or crictl rmi ID..."
	// As a gRPC client takes by itself 4 MiB, and a node may have thousands of images.
	largestAnswer = 32 << 20
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) < 2 {
		return errors.New(usage)
	}
	connection, err := grpc.NewClient(
		os.Getenv("CONTAINER_RUNTIME_ENDPOINT"),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(largestAnswer)),
	)
	if err != nil {
		return err
	}
	defer connection.Close()
	images := cri.NewImageServiceClient(connection)
	switch {
	case slices.Equal(arguments, []string{"images", "-o", "json"}):
		return list(images)
	case arguments[0] == "rmi":
		return remove(images, arguments[1:])
	}
	return errors.New(usage)
}

func list(images cri.ImageServiceClient) error {
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	answer, err := images.ListImages(ctx, &cri.ListImagesRequest{})
	if err != nil {
		return err
	}
	text, err := protojson.MarshalOptions{Multiline: true, EmitUnpopulated: true}.Marshal(answer)
	if err != nil {
		return err
	}
	_, err = fmt.Println(string(text))
	return err
}

// All are tried; what failed is told of each.
func remove(images cri.ImageServiceClient, ids []string) error {
	var failures []error
	for _, id := range ids {
		ctx, cancel := context.WithTimeout(context.Background(), answerTime)
		_, err := images.RemoveImage(ctx, &cri.RemoveImageRequest{Image: &cri.ImageSpec{Image: id}})
		cancel()
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", id, err))
			continue
		}
		fmt.Println("Deleted:", id)
	}
	return errors.Join(failures...)
}
