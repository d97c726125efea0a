package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/basalt-os/basalt/internal/service"
	"github.com/basalt-os/basalt/pkg/secrets"
)

// requestKubeletCert has the cluster sign the first client certificate of a
// worker's kubelet, and writes it. The kubelet could ask itself, but it fills its
// caches only once it has one, so that its first pods would start many seconds
// later than they can.
func requestKubeletCert(ctx context.Context, path, bootstrap, nodename string) error {
	config, err := clientcmd.BuildConfigFromFlags("", bootstrap)
	if err != nil {
		return fmt.Errorf("reading bootstrap kubeconfig: %w", err)
	}

	config.Timeout = joinCall

	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("connecting to Kubernetes: %w", err)
	}

	service.Say(ctx, "Asking the cluster for a certificate of the kubelet")

	pair, err := signByCluster(ctx, client, nodename)
	if err != nil {
		return err
	}

	return storeKubeletCert(path, pair, time.Now())
}

// signByCluster makes a key and has the cluster sign a certificate for the
// kubelet of a node. It asks until the cluster answers, or ctx ends.
func signByCluster(ctx context.Context, client kubernetes.Interface, nodename string) (secrets.KeyPair, error) {
	key, err := secrets.NewKey(secrets.ECDSAP256)
	if err != nil {
		return secrets.KeyPair{}, err
	}

	keyText, err := secrets.EncodeKey(key)
	if err != nil {
		return secrets.KeyPair{}, err
	}

	text, err := secrets.NewCSR(key, kubeletIdentity(nodename))
	if err != nil {
		return secrets.KeyPair{}, err
	}

	digest := sha256.Sum256(text)
	request := &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{Name: "node-csr-" + hex.EncodeToString(digest[:])},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			Request:    text,
			SignerName: certificatesv1.KubeAPIServerClientKubeletSignerName,
			Usages:     []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageClientAuth},
		},
	}

	for {
		certificate, err := trySign(ctx, client, request)

		switch {
		case errors.Is(err, errDenied):
			return secrets.KeyPair{}, err
		case err != nil:
			service.Say(ctx, "Asking the cluster for a certificate of the kubelet: %v", err)
		case len(certificate) > 0:
			return secrets.KeyPair{Cert: certificate, Key: keyText}, nil
		}

		select {
		case <-time.After(joinPause):
		case <-ctx.Done():
			return secrets.KeyPair{}, ctx.Err()
		}
	}
}

// errDenied is a request that will never be granted.
var errDenied = errors.New("the cluster refuses to sign a certificate of the kubelet")

// trySign makes the request, or looks at what became of it; the certificate is
// empty as long as nobody has signed.
func trySign(ctx context.Context, client kubernetes.Interface, request *certificatesv1.CertificateSigningRequest) ([]byte, error) {
	api := client.CertificatesV1().CertificateSigningRequests()

	found, err := api.Get(ctx, request.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		found, err = api.Create(ctx, request, metav1.CreateOptions{})
	}

	if err != nil {
		return nil, err
	}

	for _, c := range found.Status.Conditions {
		if c.Status == corev1.ConditionTrue && (c.Type == certificatesv1.CertificateDenied || c.Type == certificatesv1.CertificateFailed) {
			return nil, fmt.Errorf("%w: %s %s", errDenied, c.Reason, c.Message)
		}
	}

	return found.Status.Certificate, nil
}
